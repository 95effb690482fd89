package certify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/certify"
	"github.com/segue-audio/segue/internal/simulator"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// story is a run in which every promise was kept: two sessions of two songs, each
// paid for as an upload and an extension.
type story struct {
	truth    certify.Truth
	sessions []certify.Session
}

func flawless() *story {
	spent := 24.0
	return &story{
		truth: certify.Truth{
			Batches: map[string]certify.Batch{
				"s1": {Account: "a1", Songs: []certify.Song{{SHA256: "song1"}, {SHA256: "song2"}}, Last: "extend"},
				"s2": {Account: "a2", Songs: []certify.Song{{SHA256: "song3"}, {SHA256: "song4"}}, Last: "extend"},
			},
			Paid: map[string]string{"upload": "v.item", "extend": "v.generate"},
			Charges: []simulator.Charge{
				charge(1, "song1", "v.item", "u1"), charge(2, "song2", "v.item", "u2"),
				charge(3, "song3", "v.item", "u3"), charge(4, "song4", "v.item", "u4"),
				// Accepted in another order than the songs'.
				charge(5, "song2", "v.generate", "x2"), charge(6, "song1", "v.generate", "x1"),
				charge(7, "song3", "v.generate", "x3"), charge(8, "song4", "v.generate", "x4"),
			},
			Made: map[string][]string{
				"x1": {"c1a", "c1b"}, "x2": {"c2a", "c2b"}, "x3": {"c3a", "c3b"}, "x4": {"c4a", "c4b"},
			},
		},
		sessions: []certify.Session{
			{
				ID:       "s1",
				Items:    []certify.Item{done("s1.0", "u1", "x1"), done("s1.1", "u2", "x2")},
				AudioIDs: []string{"c1a", "c1b", "c2a", "c2b"}, Told: []string{"c1a", "c1b", "c2a", "c2b"},
				Settled: 1, Effects: []time.Time{noon.Add(time.Minute)}, Spent: &spent,
			},
			{
				ID:       "s2",
				Items:    []certify.Item{done("s2.0", "u3", "x3"), done("s2.1", "u4", "x4")},
				AudioIDs: []string{"c3a", "c3b", "c4a", "c4b"}, Told: []string{"c3a", "c3b", "c4a", "c4b"},
				Settled: 1, // its worker was killed before it could log so
			},
		},
	}
}

func charge(seq int, audio, endpoint, operation string) simulator.Charge {
	return simulator.Charge{Seq: seq, Time: noon.Add(time.Duration(seq) * time.Second), AudioSHA256: audio, Endpoint: endpoint, OperationID: operation, Credits: 6}
}

func done(id string, operations ...string) certify.Item {
	return certify.Item{ID: id, State: "succeeded", Step: "fetch", Operations: operations}
}

// hold makes s1's second song wait for a person, at its extension.
func (s *story) hold() {
	s.sessions[0].Items[1] = certify.Item{ID: "s1.1", State: "held", Step: "extend", Reason: "worker w died", Operations: []string{"u2"}}
	s.sessions[0].AudioIDs = []string{"c1a", "c1b"}
	s.sessions[0].Settled, s.sessions[0].Effects, s.sessions[0].Told = 0, nil, nil
}

func (s *story) judge() *certify.Judgement { return certify.Judge(&s.truth, s.sessions) }

func TestJudgeFlawless(t *testing.T) {
	want := &certify.Judgement{
		Sessions: 2, Items: 4, Charges: 8, Succeeded: 4, Completed: 2, Once: 2,
		Held: []certify.Held{}, Failed: map[string]int{}, Breaches: []certify.Breach{},
	}
	if diff := cmp.Diff(want, flawless().judge()); diff != "" {
		t.Errorf("Judge (-want +got):\n%s", diff)
	}
}

// TestJudgeHeld: what is held is no breach, whether or not it was charged, and the log
// says which.
func TestJudgeHeld(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(*story)
		want    certify.Held
	}{
		{"charged", func(*story) {}, certify.Held{Item: "s1.1", Step: "extend", Reason: "worker w died", Charged: true, Operation: "x2"}},
		{"not charged", func(s *story) {
			s.truth.Charges = append(s.truth.Charges[:4:4], s.truth.Charges[5:]...)
		}, certify.Held{Item: "s1.1", Step: "extend", Reason: "worker w died"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := flawless()
			s.hold()
			c.prepare(s)
			got := s.judge()
			if diff := cmp.Diff([]certify.Held{c.want}, got.Held); diff != "" {
				t.Errorf("held (-want +got):\n%s", diff)
			}
			if !got.Pass() || got.Completed != 1 || got.Once != 1 || got.Lost != 0 {
				t.Errorf("%d complete, %d once, %d lost, breaches %v; want 1, 1, 0, none", got.Completed, got.Once, got.Lost, got.Breaches)
			}
		})
	}
}

// TestJudgeClip: a charge whose clip is on the item's record is not lost, though nobody
// knows its operation; another song's clip is no such record.
func TestJudgeClip(t *testing.T) {
	for clip, lost := range map[string]int{"k1": 0, "k2": 1} {
		s := flawless()
		s.truth.Made["u1"], s.truth.Made["u2"] = []string{"k1"}, []string{"k2"}
		s.sessions[0].Items[0].Operations, s.sessions[0].Items[0].Clips = []string{"x1"}, []string{clip}
		if got := s.judge(); got.Lost != lost || got.Pass() != (lost == 0) {
			t.Errorf("with clip %s on record, %d are lost, breaches %v; want %d", clip, got.Lost, got.Breaches, lost)
		}
	}
}

// TestJudgePlanted plants one breach at a time: a judge that does not find it proves
// nothing.
func TestJudgePlanted(t *testing.T) {
	swap := func(list []string) { list[0], list[2] = list[2], list[0] }
	for _, c := range []struct {
		name  string
		plant func(*story)
		// promise is the one that is broken, finding a part of what is said of it.
		promise, finding  string
		extra, lost, once int
	}{
		{"an extra charge of an extension", func(s *story) {
			s.truth.Charges = append(s.truth.Charges, charge(9, "song3", "v.generate", "x3again"))
			s.truth.Made["x3again"] = []string{"c3a", "c3b"}
		}, "paid once", "v.generate was charged 2 times for one song: operations [x3 x3again]", 1, 0, 2},
		{"two extra charges of an upload", func(s *story) {
			s.truth.Charges = append(s.truth.Charges, charge(9, "song1", "v.item", "u1b"), charge(10, "song1", "v.item", "u1c"))
		}, "paid once", "v.item was charged 3 times", 2, 0, 2},
		{"an extra charge that a later operation hides", func(s *story) {
			s.truth.Charges = append(s.truth.Charges, charge(9, "song3", "v.generate", "x3again"))
			s.truth.Made["x3again"] = []string{"c3a", "c3b"}
			s.sessions[1].Items[0].Operations = []string{"u3", "x3again"}
		}, "paid once", "v.generate was charged 2 times", 1, 0, 2},
		{"a charge on no record", func(s *story) {
			s.sessions[0].Items[0].Operations = []string{"u1"}
		}, "nothing lost", "item s1.0 is succeeded at fetch, and its extend was charged as operation x1", 0, 1, 2},
		{"an item failed, and its charge on no record", func(s *story) {
			s.sessions[1].Items[1] = certify.Item{ID: "s2.1", State: "failed", Step: "extend", Reason: "lease expired", Operations: []string{"u4"}}
			s.sessions[1].AudioIDs, s.sessions[1].Told = []string{"c3a", "c3b"}, []string{"c3a", "c3b"}
		}, "nothing lost", "item s2.1 is failed at extend, and its extend was charged as operation x4", 0, 1, 2},
		{"an item held at another step than the lost charge's", func(s *story) {
			s.hold()
			s.sessions[0].Items[1].Operations = nil
		}, "nothing lost", "item s1.1 is held at extend, and its upload was charged as operation u2", 0, 1, 1},
		{"a charge for audio that nobody submitted", func(s *story) {
			s.truth.Charges = append(s.truth.Charges, charge(9, "", "v.generate", "x9"))
		}, "nothing lost", "charge 9 (operation x9) is for audio that was not submitted", 0, 1, 2},
		{"an invented operation", func(s *story) {
			s.sessions[0].Items[0].Operations = append(s.sessions[0].Items[0].Operations, "x77")
		}, "nothing lost", "operation x77 on record, which the provider never charged", 0, 0, 2},
		{"a session that is gone", func(s *story) { s.sessions = s.sessions[:1] }, "nothing lost", "session s2 is gone", 0, 0, 1},
		{"a session that is listed twice", func(s *story) {
			s.sessions = append(s.sessions, s.sessions[0])
		}, "nothing lost", "session s1 was not submitted, or is listed twice", 0, 0, 2},
		{"an item that is gone", func(s *story) { s.sessions[0].Items = s.sessions[0].Items[:1] }, "nothing lost", "session s1 has 1 items, 2 were submitted", 0, 0, 1},
		{"settled twice, by the record", func(s *story) { s.sessions[0].Settled = 2 }, "completed once", "session s1 took effect 2 times by its record and 1 times", 0, 0, 1},
		{"settled twice, by the log", func(s *story) {
			s.sessions[0].Effects = append(s.sessions[0].Effects, noon.Add(time.Hour))
		}, "completed once", "session s1 took effect 1 times by its record and 2 times", 0, 0, 1},
		{"never settled", func(s *story) {
			s.sessions[1].Settled, s.sessions[1].Told = 0, nil
		}, "completed once", "session s2 took effect 0 times", 0, 0, 1},
		{"settled with items missing", func(s *story) {
			s.sessions[0].Told = []string{"c1a", "c1b"}
		}, "completed once", "session s1 took effect too early, or with another's audioIds: 2 of 4", 0, 0, 1},
		{"settled before the last charge", func(s *story) {
			s.sessions[0].Effects = []time.Time{noon.Add(5500 * time.Millisecond)}
		}, "completed once", "session s1 took effect before its last paid request", 0, 0, 1},
		{"settled while an item is held", func(s *story) {
			s.hold()
			s.sessions[0].Settled = 1
		}, "completed once", "session s1 took effect 1 times, and is not complete", 0, 0, 1},
		{"reported while an item is held", func(s *story) {
			s.hold()
			s.sessions[0].Told = []string{"c1a", "c1b"}
		}, "completed once", "session s1 took effect 0 times, and is not complete", 0, 0, 1},
		{"songs in the wrong order", func(s *story) {
			swap(s.sessions[0].AudioIDs)
		}, "in order", "session s1: audioIds differ from what the provider made of the songs, in their order: 4 of 4; number 0 is c2a, want c1a", 0, 0, 2},
		{"a song's tracks twice", func(s *story) {
			s.sessions[1].AudioIDs = append(s.sessions[1].AudioIDs, "c4a", "c4b")
		}, "in order", "6 of 4; number 4 is c4a, want nothing", 0, 0, 2},
		{"another song's tracks, in record and effect", func(s *story) {
			s.sessions[0].AudioIDs = []string{"c1a", "c1b", "c3a", "c3b"}
			s.sessions[0].Told = s.sessions[0].AudioIDs
		}, "in order", "number 2 is c3a, want c2a", 0, 0, 1},
		{"an item that is still on its way", func(s *story) {
			s.hold()
			s.sessions[0].Items[1].State = "reconciling"
		}, "comes to an end", "session s1 is not over", 0, 0, 1},
		{"too little on account", func(s *story) {
			spent := 20.0
			s.sessions[1].Spent = &spent
		}, "adds up", "session s2 says that it cost 20 credits, and was charged 24", 0, 0, 2},
		{"a refund that is on no account", func(s *story) {
			spent := 24.0
			s.sessions[1].Spent = &spent
			s.truth.Charges[7].Refunded = true
		}, "adds up", "session s2 says that it cost 24 credits, and was charged 18", 0, 0, 2},
		{"held without a reason", func(s *story) {
			s.hold()
			s.sessions[0].Items[1].Reason = ""
		}, "explained", "item s1.1 is held without a reason", 0, 0, 1},
		{"failed without a reason", func(s *story) {
			s.sessions[1].Items[1] = certify.Item{ID: "s2.1", State: "failed", Step: "extend", Operations: []string{"u4", "x4"}}
			s.sessions[1].AudioIDs, s.sessions[1].Told = []string{"c3a", "c3b"}, []string{"c3a", "c3b"}
		}, "explained", "item s2.1 has failed without a reason", 0, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := flawless()
			c.plant(s)
			got := s.judge()
			found := false
			for _, b := range got.Breaches {
				found = found || b.Promise == c.promise && strings.Contains(b.Finding, c.finding)
			}
			if !found || got.Pass() {
				t.Errorf("breaches %v; want one of %q that says %q", got.Breaches, c.promise, c.finding)
			}
			if got.Extra != c.extra || got.Lost != c.lost || got.Once != c.once {
				t.Errorf("%d extra, %d lost, %d completed once; want %d, %d, %d", got.Extra, got.Lost, got.Once, c.extra, c.lost, c.once)
			}
		})
	}
}

// TestJudgeFailed: an item that failed after its charge was put on record is no
// breach; it leaves a hole that is declared.
func TestJudgeFailed(t *testing.T) {
	s := flawless()
	s.sessions[1].Items[0] = certify.Item{ID: "s2.0", State: "failed", Step: "extend", Reason: "matches existing work", Operations: []string{"u3", "x3"}}
	s.sessions[1].AudioIDs, s.sessions[1].Told = []string{"c4a", "c4b"}, []string{"c4a", "c4b"}
	got := s.judge()
	if diff := cmp.Diff(map[string]int{"extend: matches existing work": 1}, got.Failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if !got.Pass() || got.Once != 2 || got.Succeeded != 3 {
		t.Errorf("breaches %v, %d completed once, %d succeeded; want none, 2, 3", got.Breaches, got.Once, got.Succeeded)
	}
}
