package longjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/longjson"
)

type leaf struct {
	Name string   `json:"name"`
	Of   []string `json:"of"`
}

type tree struct {
	ID     string   `json:"id"`
	IDs    []string `json:"ids"`
	Leaves []leaf   `json:"leaves"`
	Last   []leaf   `json:"last,omitempty"`
	End    float64  `json:"end"`
}

// plainly is what an encoder writes that holds all of it.
func plainly(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestWrite: what is written is, byte for byte, what an encoder writes.
func TestWrite(t *testing.T) {
	leaves := []leaf{{"a <&> \n  \"leaves\": []", []string{"x", "y"}}, {Name: "\u2028", Of: []string{}}, {Name: "c"}}
	for name, whole := range map[string]tree{
		"several":            {ID: "1", IDs: []string{"p"}, Leaves: leaves, Last: leaves[:1], End: 1.5},
		"none":               {ID: "\n  \"leaves\": []", IDs: []string{}, Leaves: []leaf{}},
		"one":                {Leaves: leaves[:1], Last: leaves},
		"one list is absent": {Leaves: leaves},
	} {
		t.Run(name, func(t *testing.T) {
			head := whole
			head.Leaves = []leaf{}
			lists := []longjson.List{{Name: "leaves", Elements: longjson.Of(whole.Leaves)}}
			var out bytes.Buffer
			if err := longjson.Write(&out, head, lists...); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(plainly(t, whole), out.String()); diff != "" {
				t.Errorf("written (-an encoder +Write):\n%s", diff)
			}
		})
	}
}

func TestTwoLists(t *testing.T) {
	type two struct {
		A []int `json:"a"`
		B []int `json:"b"`
	}
	var out bytes.Buffer
	err := longjson.Write(&out, two{A: []int{}, B: []int{}},
		longjson.List{Name: "a", Elements: longjson.Of([]int{1, 2})}, longjson.List{Name: "b", Elements: longjson.Of([]int{3})})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plainly(t, two{[]int{1, 2}, []int{3}}), out.String()); diff != "" {
		t.Errorf("written (-an encoder +Write):\n%s", diff)
	}
}

func TestWriteFails(t *testing.T) {
	broken := errors.New("broken")
	failing := func(yield func(any, error) bool) { _ = yield(1, nil) && yield(nil, broken) }
	if err := longjson.Write(&bytes.Buffer{}, tree{Leaves: []leaf{}}, longjson.List{Name: "leaves", Elements: failing}); !errors.Is(err, broken) {
		t.Errorf("Write = %v, want the error among the elements", err)
	}
	for _, head := range []tree{{}, {Leaves: []leaf{{Name: "full"}}}} {
		err := longjson.Write(&bytes.Buffer{}, head, longjson.List{Name: "leaves", Elements: longjson.Of([]leaf{})})
		if err == nil || !strings.Contains(err.Error(), "leaves") {
			t.Errorf("Write(%+v) = %v, want that there is no empty list", head, err)
		}
	}
}
