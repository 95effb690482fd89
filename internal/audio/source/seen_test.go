package source_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/segue-audio/segue/internal/audio/source"
)

func TestSeen(t *testing.T) {
	var s source.Seen
	places := []source.Place{
		{Source: "a.mp3", Origin: "rows.csv:12", Turn: 3},
		{Source: "b.mp3", Origin: "b.mp3"},
		{Origin: "other.csv:4294967295"},
		{Source: "c.mp3", Origin: "C:4294967296"},
		{Source: strings.Repeat("x", 300), Origin: "rows.csv:0"},
	}
	for n, place := range places {
		if first, known := s.Add(fmt.Sprint(n), place); known {
			t.Errorf("%d was known before, at %v", n, first)
		}
	}
	for n, place := range places {
		if first, known := s.Add(fmt.Sprint(n), source.Place{Source: "later"}); !known || first != place {
			t.Errorf("%d = %v, %t; want %v", n, first, known, place)
		}
	}
	if s.Len() != len(places) {
		t.Errorf("%d identities, want %d", s.Len(), len(places))
	}
	// Names beyond the first 2 MB are let go of, and their lines are not.
	for n := range 10 {
		s.Add(fmt.Sprint("long", n), source.Place{Source: strings.Repeat("x", 1<<18), Origin: fmt.Sprint("rows.csv:", 100+n)})
	}
	first, _ := s.Add("long9", source.Place{})
	if first != (source.Place{Origin: "rows.csv:109"}) || first.String() != "rows.csv:109" {
		t.Errorf("the tenth name of 256 KB is %.20q at %s; want its line alone", first.Source, first.Origin)
	}
	for want, place := range map[string]source.Place{
		"a.mp3 (rows.csv:12)": places[0], "b.mp3": places[1], "c": {Source: "c"},
	} {
		if got := place.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

// 200,000 identities are found again, each where it was met first, and are held in
// less than 40 bytes each beside the first 2 MB of names.
func TestSeenHoldsLittle(t *testing.T) {
	const count = 200_000
	before := heap()
	var s source.Seen
	at := func(n int) source.Place {
		return source.Place{Source: fmt.Sprintf("%07d.mp3", n), Origin: fmt.Sprint("rows.csv:", n+2), Turn: uint32(n + 1)}
	}
	for n := range count {
		if first, known := s.Add(fmt.Sprint("identity ", n), at(n)); known {
			t.Fatalf("%d was known before, at %v", n, first)
		}
	}
	used := int64(heap()) - int64(before)
	if most := int64(40*count + 2<<20); used > most {
		t.Errorf("%d bytes are held, want at most %d", used, most)
	}
	for n := range count {
		want := at(n)
		if n >= 190_650 { // 2 MB hold so many names of 11 bytes
			want.Source = ""
		}
		if first, known := s.Add(fmt.Sprint("identity ", n), source.Place{}); !known || first != want {
			t.Fatalf("%d = %+v, %t; want %+v", n, first, known, want)
		}
	}
	if s.Len() != count {
		t.Errorf("%d identities, want %d", s.Len(), count)
	}
	runtime.KeepAlive(&s)
}
