package enqueue

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/session"
)

// TestStatusDoesNotDriftFromView fills every field there is, those that are added
// later too: what the library answers must stay what the command line prints.
func TestStatusDoesNotDriftFromView(t *testing.T) {
	var full session.View
	fill(t, reflect.ValueOf(&full).Elem())
	for name, view := range map[string]*session.View{"full": &full, "empty": (&session.Session{}).View()} {
		want, err := json.MarshalIndent(view, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.MarshalIndent(statusOf(view), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-view +status):\n%s", name, diff)
		}
	}
}

// fill sets every field of v to something.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(t, field)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0))
		fill(t, v.Index(1))
	case reflect.String:
		v.SetString("text of " + v.Type().Name())
	case reflect.Int:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(1.5)
	default:
		t.Fatalf("a view has a field of kind %s; say how to fill it", v.Kind())
	}
}
