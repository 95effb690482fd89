package tasks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/tasks"
)

const exampleSession = "ses_01939f3e-7b2a-7c4d-8e5f-0123456789ab"

// golden is written once per type and version, and decoded forever. A new
// version adds a row; no row is ever changed.
var golden = []struct {
	file   string
	decode func([]byte) (any, error)
	encode func() (tasks.Task, error)
	want   any
	id     string
}{
	{
		file:   "audio:upload.v1.json",
		decode: func(b []byte) (any, error) { return tasks.AudioUpload.Decode(b) },
		encode: func() (tasks.Task, error) { return tasks.AudioUpload.New(tasks.Upload{Step: step("upload", 0)}) },
		want:   tasks.Upload{Step: step("upload", 0)},
		id:     "audio:upload:" + exampleSession + ".7:upload:1",
	},
	{
		file:   "audio:extend.v1.json",
		decode: func(b []byte) (any, error) { return tasks.AudioExtend.Decode(b) },
		encode: func() (tasks.Task, error) { return tasks.AudioExtend.New(tasks.Extend{Step: step("extend", 0)}) },
		want:   tasks.Extend{Step: step("extend", 0)},
		id:     "audio:extend:" + exampleSession + ".7:extend:1",
	},
	{
		file:   "audio:poll.v1.json",
		decode: func(b []byte) (any, error) { return tasks.AudioPoll.Decode(b) },
		encode: func() (tasks.Task, error) { return tasks.AudioPoll.New(tasks.Poll{Step: step("extend", 2)}) },
		want:   tasks.Poll{Step: step("extend", 2)},
		id:     "audio:poll:" + exampleSession + ".7:extend:1:r2",
	},
	{
		file:   "audio:reconcile.v1.json",
		decode: func(b []byte) (any, error) { return tasks.AudioReconcile.Decode(b) },
		encode: func() (tasks.Task, error) {
			return tasks.AudioReconcile.New(tasks.Reconcile{Step: step("extend", 2)})
		},
		want: tasks.Reconcile{Step: step("extend", 2)},
		id:   "audio:reconcile:" + exampleSession + ".7:extend:1:r2",
	},
	{
		file:   "audio:fetch.v1.json",
		decode: func(b []byte) (any, error) { return tasks.AudioFetch.Decode(b) },
		encode: func() (tasks.Task, error) { return tasks.AudioFetch.New(tasks.Fetch{Step: step("fetch", 0)}) },
		want:   tasks.Fetch{Step: step("fetch", 0)},
		id:     "audio:fetch:" + exampleSession + ".7:fetch:1",
	},
	{
		file:   "session:settle.v1.json",
		decode: func(b []byte) (any, error) { return tasks.SessionSettle.Decode(b) },
		encode: func() (tasks.Task, error) {
			return tasks.SessionSettle.New(tasks.Settle{V: 1, Session: exampleSession, Completion: 1})
		},
		want: tasks.Settle{V: 1, Session: exampleSession, Completion: 1},
		id:   "session:settle:" + exampleSession + ":1",
	},
	{
		file:   "session:admit.v1.json",
		decode: func(b []byte) (any, error) { return tasks.SessionAdmit.Decode(b) },
		encode: func() (tasks.Task, error) {
			return tasks.SessionAdmit.New(tasks.Admit{V: 1, Provider: "kie", Account: "main", Seq: 42})
		},
		want: tasks.Admit{V: 1, Provider: "kie", Account: "main", Seq: 42},
		id:   "session:admit:kie/main:42",
	},
	{
		file:   "bulk:run.v1.json",
		decode: func(b []byte) (any, error) { return tasks.BulkRun.Decode(b) },
		encode: func() (tasks.Task, error) {
			return tasks.BulkRun.New(tasks.Run{V: 1, Schedule: "nightly", Fire: "1795312800"})
		},
		want: tasks.Run{V: 1, Schedule: "nightly", Fire: "1795312800"},
		id:   "bulk:run:nightly:1795312800",
	},
	{
		file:   "keeper:sweep.v1.json",
		decode: func(b []byte) (any, error) { return tasks.KeeperSweep.Decode(b) },
		encode: func() (tasks.Task, error) { return tasks.KeeperSweep.New(tasks.Sweep{V: 1, Slot: 881234567}) },
		want:   tasks.Sweep{V: 1, Slot: 881234567},
		id:     "keeper:sweep:881234567",
	},
}

func step(name string, rescue int) tasks.Step {
	return tasks.Step{V: 1, Session: exampleSession, Index: 7, Name: name, Generation: 1, Rescue: rescue}
}

func TestGoldenPayloads(t *testing.T) {
	for _, g := range golden {
		// A colon is no character for a file name everywhere.
		body, err := os.ReadFile(filepath.Join("testdata", strings.ReplaceAll(g.file, ":", "_")))
		if err != nil {
			t.Errorf("%s: %v", g.file, err)
			continue
		}
		got, err := g.decode(body)
		if err != nil {
			t.Errorf("decode %s: %v", g.file, err)
			continue
		}
		if diff := cmp.Diff(g.want, got); diff != "" {
			t.Errorf("decode %s (-want +got):\n%s", g.file, diff)
		}
		task, err := g.encode()
		if err != nil {
			t.Errorf("encode %s: %v", g.file, err)
			continue
		}
		if want := strings.TrimSpace(string(body)); string(task.Payload) != want {
			t.Errorf("encode %s = %s, want %s", g.file, task.Payload, want)
		}
		if task.ID != g.id {
			t.Errorf("id of %s = %q, want %q", g.file, task.ID, g.id)
		}
	}
}

// TestEveryTypeHasAGolden names the type that was added without an example.
func TestEveryTypeHasAGolden(t *testing.T) {
	have := map[string]bool{}
	for _, g := range golden {
		name, _, _ := strings.Cut(g.file, ".")
		have[name] = true
	}
	for name := range tasks.All() {
		if !have[name] {
			t.Errorf("type %q has no golden payload in testdata", name)
		}
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(golden) {
		t.Errorf("%d files in testdata, %d golden rows: an example was forgotten or dropped", len(files), len(golden))
	}
}

// TestNoNameIsAPrefix guards against asynq's mux, which matches by prefix.
func TestNoNameIsAPrefix(t *testing.T) {
	for a := range tasks.All() {
		for b := range tasks.All() {
			if a != b && strings.HasPrefix(b, a) {
				t.Errorf("type %q is a prefix of %q", a, b)
			}
		}
	}
}

func TestEveryPolicyIsExplicit(t *testing.T) {
	known := map[string]bool{}
	for _, q := range tasks.Queues() {
		known[q] = true
	}
	for name, p := range tasks.All() {
		if !known[p.Queue] {
			t.Errorf("%s travels on queue %q, which no worker serves", name, p.Queue)
		}
		if p.Timeout <= 0 || p.Retention <= 0 {
			t.Errorf("%s: timeout %v, retention %v; both must be said", name, p.Timeout, p.Retention)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	cases := []struct{ name, body, want string }{
		{"garbage", `{"v":`, "unexpected EOF"},
		{"no version", `{"session":"ses_x","index":0,"step":"upload","generation":0}`, "no version"},
		{"no session", `{"v":1,"index":0,"step":"upload","generation":0}`, "no session"},
		{"negative index", `{"v":1,"session":"ses_x","index":-1,"step":"upload"}`, "index -1"},
		{"no step", `{"v":1,"session":"ses_x","index":0}`, "no step"},
	}
	for _, c := range cases {
		_, err := tasks.AudioUpload.Decode([]byte(c.body))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Decode(%s) error %v, want one with %q", c.name, c.body, err, c.want)
		}
	}
}

func TestDecodeIgnoresFieldsOfNewerProducers(t *testing.T) {
	got, err := tasks.AudioPoll.Decode([]byte(`{"v":2,"session":"ses_x","index":1,"step":"upload","generation":0,"priority":9}`))
	if err != nil || got.Session != "ses_x" {
		t.Errorf("Decode = %+v, %v; want the known fields", got, err)
	}
}

func TestNewRefusesLargePayloads(t *testing.T) {
	_, err := tasks.AudioUpload.New(tasks.Upload{Step: tasks.Step{V: 1, Session: strings.Repeat("x", 2000), Name: "upload"}})
	if err == nil || !strings.Contains(err.Error(), "at most 1024") {
		t.Errorf("New with a 2 KB session id: %v, want a refusal", err)
	}
}
