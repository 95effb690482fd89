package source_test

import (
	"fmt"
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
	// Names beyond the first 8 MB are let go of, and their lines are not.
	for n := range 10 {
		s.Add(fmt.Sprint("long", n), source.Place{Source: strings.Repeat("x", 1<<20), Origin: fmt.Sprint("rows.csv:", 100+n)})
	}
	first, _ := s.Add("long9", source.Place{})
	if first != (source.Place{Origin: "rows.csv:109"}) || first.String() != "rows.csv:109" {
		t.Errorf("the tenth name of 1 MB is %.20q at %s; want its line alone", first.Source, first.Origin)
	}
	for want, place := range map[string]source.Place{
		"a.mp3 (rows.csv:12)": places[0], "b.mp3": places[1], "c": {Source: "c"},
	} {
		if got := place.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}
