package main

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPacked(t *testing.T) {
	for _, n := range []int{0, 1, 3000} {
		left := []reused{}
		for i := range n {
			left = append(left, reused{Index: i, Source: fmt.Sprintf("songs/%d \u2028<&>.wav", i), Outcome: "reused", AudioIDs: []string{"a", "b"}, Files: []string{}})
		}
		text, err := packed(left)
		if err != nil {
			t.Fatal(err)
		}
		got, err := unpacked(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(left, got); diff != "" {
			t.Errorf("%d files (-packed +unpacked):\n%s", n, diff)
		}
		for _, missing := range []int{1, 8, 9} {
			if cut, err := unpacked(text[:len(text)-missing]); err == nil {
				t.Errorf("of %d files without their last %d bytes %d are read, want an error", n, missing, len(cut))
			}
		}
	}
	for _, text := range []string{"", "[]", `[{"index": 0}]`} {
		if left, err := unpacked([]byte(text)); err == nil {
			t.Errorf("unpacked(%q) = %v, want an error", text, left)
		}
	}
}
