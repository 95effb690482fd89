//go:build unix

package chaos_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/e2e/proctest"
	"github.com/segue-audio/segue/internal/simulator"
)

// sound are the books of a run in which nothing is wrong: two songs at a provider
// that is paid twice for each.
func sound() *books {
	vendor := proctest.Vendor{Name: "mountsea", Paid: []string{"mountsea.item", "mountsea.generate"}}
	charge := func(operation string, credits int64) []simulator.Charge {
		return []simulator.Charge{{OperationID: operation, Credits: credits}}
	}
	at := func(song, endpoint string) proctest.Job { return proctest.Job{SHA256: song, Endpoint: endpoint} }
	item := func(index int, path, clip string, operations, tracks []string) proctest.Item {
		return proctest.Item{Index: index, Source: path, Status: "succeeded", Step: "fetch", ClipID: clip, OperationIDs: operations, AudioIDs: tracks}
	}
	return &books{
		charges: map[proctest.Job][]simulator.Charge{
			at("aa", "mountsea.item"): charge("up-a", 2), at("aa", "mountsea.generate"): charge("ext-a", 10),
			at("bb", "mountsea.item"): charge("up-b", 2), at("bb", "mountsea.generate"): charge("ext-b", 10),
		},
		verdict:  simulator.Verdict{Charges: 4},
		made:     map[string][]string{"up-a": {"clip-a"}, "up-b": {"clip-b"}, "ext-a": {"a1", "a2"}, "ext-b": {"b1", "b2"}},
		decided:  map[proctest.Job]int{},
		accounts: []account{{Provider: "kie"}, {Provider: "mountsea", Spent: 24}},
		sessions: []ended{{
			vendor: vendor, songs: []proctest.Song{{Path: "a.wav", SHA256: "aa"}, {Path: "b.wav", SHA256: "bb"}},
			completions: "1", settled: "1",
			status: &proctest.Status{
				SessionID: "ses_1", Status: "succeeded", AudioIDs: []string{"a1", "a2", "b1", "b2"}, CreditsSpent: 24,
				Items: []proctest.Item{
					item(0, "a.wav", "clip-a", []string{"up-a", "ext-a"}, []string{"a1", "a2"}),
					item(1, "b.wav", "clip-b", []string{"up-b", "ext-b"}, []string{"b1", "b2"}),
				},
			},
		}},
	}
}

// TestOracle plants one bug at a time into sound books. An oracle that misses one of
// them would let a run pass in which it happened.
func TestOracle(t *testing.T) {
	again := func(b *books, endpoint, operation string) {
		key := proctest.Job{SHA256: "bb", Endpoint: endpoint}
		b.charges[key] = append(slices.Clip(b.charges[key]), simulator.Charge{OperationID: operation, Credits: 10})
	}
	for _, tt := range []struct {
		name  string
		plant func(b *books, st *proctest.Status)
		// want are the beginnings of the findings.
		want []string
	}{
		{"nothing", func(*books, *proctest.Status) {}, nil},
		{"a song paid twice, and both on record", func(b *books, st *proctest.Status) {
			again(b, "mountsea.generate", "ext-b2")
			b.made["ext-b2"] = []string{"b1", "b2"}
			st.Items[1].OperationIDs = append(st.Items[1].OperationIDs, "ext-b2")
			st.CreditsSpent, b.accounts[1].Spent = 34, 34
		}, []string{"extra charge: 2 times mountsea.generate for bb"}},
		{"a song paid twice that the operator let be paid twice", func(b *books, st *proctest.Status) {
			again(b, "mountsea.generate", "ext-b2")
			b.made["ext-b2"] = []string{"b3", "b4"}
			b.decided[proctest.Job{SHA256: "bb", Endpoint: "mountsea.generate"}] = 1
			st.Items[1].OperationIDs = append(st.Items[1].OperationIDs, "ext-b2")
			st.Items[1].AudioIDs, st.AudioIDs, st.CreditsSpent = []string{"b3", "b4"}, []string{"a1", "a2", "b3", "b4"}, 34
			b.accounts[1].Spent = 34
		}, nil},
		{"an upload paid twice, and one forgotten", func(b *books, _ *proctest.Status) {
			again(b, "mountsea.item", "up-b2")
			b.made["up-b2"] = []string{"clip-b2"}
		}, []string{"extra charge: 2 times mountsea.item for bb", "lost charge: up-b2 of bb", "ses_1: creditsSpent is 24, and the provider took 34", "the book of mountsea has 24 spent and 0 reserved, and the provider took 34"}},
		{"an operation forgotten", func(_ *books, st *proctest.Status) {
			st.Items[0].OperationIDs = []string{"up-a"}
		}, []string{"lost charge: ext-a of aa"}},
		{"an upload known by its clip", func(_ *books, st *proctest.Status) {
			st.Items[0].OperationIDs = []string{"ext-a"}
		}, nil},
		{"an item that never ended", func(_ *books, st *proctest.Status) {
			st.Items[1].Status, st.Items[1].Step = "held", "extend"
		}, []string{" is held at extend, want succeeded"}},
		{"an item that failed without a reason", func(_ *books, st *proctest.Status) {
			st.Items[1].Status, st.Items[1].Step = "failed", "upload"
		}, []string{" is failed at upload, want succeeded"}},
		{"results exchanged", func(_ *books, st *proctest.Status) {
			st.Items[0].AudioIDs, st.Items[1].AudioIDs = st.Items[1].AudioIDs, st.Items[0].AudioIDs
		}, []string{" has the tracks [b1 b2], and the provider made [a1 a2]", " has the tracks [a1 a2], and the provider made [b1 b2]"}},
		{"results in another order", func(_ *books, st *proctest.Status) {
			st.AudioIDs = []string{"b1", "b2", "a1", "a2"}
		}, []string{"ses_1: audioIds in the order of the input"}},
		{"an item lost", func(_ *books, st *proctest.Status) {
			st.Items = st.Items[:1]
		}, []string{"lost charge: ext-b of bb", "lost charge: up-b of bb", "ses_1 has 1 items of 2 songs"}},
		{"settled twice", func(b *books, _ *proctest.Status) { b.sessions[0].settled = "2" }, []string{"ses_1: 1 completions, 2 settled"}},
		{"completed twice", func(b *books, _ *proctest.Status) { b.sessions[0].completions = "2" }, []string{"ses_1: 2 completions, 1 settled"}},
		{"never settled", func(b *books, _ *proctest.Status) { b.sessions[0].settled = "" }, []string{"ses_1: 1 completions,  settled"}},
		{"a file cut short", func(b *books, _ *proctest.Status) { b.sessions[0].differing = []string{"a1.mp3"} }, []string{"ses_1: a1.mp3 is not what"}},
		{"a reservation that nobody freed", func(b *books, _ *proctest.Status) {
			b.accounts[1].Reserved = 10
		}, []string{"the book of mountsea has 24 spent and 10 reserved"}},
		{"credits counted that were never taken", func(b *books, _ *proctest.Status) {
			b.accounts[0].Spent = 12
		}, []string{"the book of kie has 12 spent and 0 reserved, and the provider took 0"}},
		{"credits counted that the operator was asked about", func(b *books, _ *proctest.Status) {
			b.accounts[0].Spent, b.accounts[0].presumed = 12, 12
		}, nil},
		{"an extra charge that only the provider knows", func(b *books, _ *proctest.Status) { b.verdict.ExtraCharges = 1 }, []string{"the provider counts 1 extra charges"}},
		{"a result that nobody asked for", func(b *books, _ *proctest.Status) { b.verdict.UnseenResults = 1 }, []string{"the provider counts 1 results never seen"}},
		{"another account's clip", func(b *books, _ *proctest.Status) { b.verdict.WrongAccount = 1 }, []string{"the provider counts 1 uses of the wrong account"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := sound()
			tt.plant(b, b.sessions[0].status)
			got := b.findings()
			if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("findings (-want +got):\n%s", cmp.Diff(tt.want, got))
			}
		})
	}
}

// TestPlans draws plans: a seed always gives the same one, and every fault comes up.
func TestPlans(t *testing.T) {
	if first, second := drawn(7, 3, time.Minute).String(), drawn(7, 3, time.Minute).String(); first != second {
		t.Errorf("seed 7 gives two plans:\n%s", cmp.Diff(first, second))
	}
	var all strings.Builder
	for seed := range uint64(30) {
		all.WriteString(drawn(seed, 3, time.Minute).String())
	}
	for _, fault := range []string{
		"kill worker", "start worker", "replace worker", "freeze worker", "wake worker", "kill redis", "start redis",
		"cut all of redis's clients", "flush scripts", "delete asynq's keys", "slow redis", "freeze redis", "reset redis", "cut redis", "cut provider",
		"reset provider", "mend worker", "shut callbacks out", "let callbacks in", "drop_after", "callback_lost", "-5m0s",
	} {
		if !strings.Contains(all.String(), fault) {
			t.Errorf("thirty plans of a minute never have %q", fault)
		}
	}
}
