package simulator

import "testing"

// TestTrafficIsBounded fills the log beyond what it keeps.
func TestTrafficIsBounded(t *testing.T) {
	s := &Simulator{opts: Options{}.withDefaults(), state: newState(), traffic: newTraffic(10)}
	s.courier = newCourier(s)
	for n := range 13 {
		s.traffic.add(submission{Submission: Submission{Provider: "kie", Account: "a", Outcome: 200 + n}})
	}
	all := s.Submissions(0)
	if first, last := all[0], all[len(all)-1]; len(all) != 10 || first.Seq != 4 || first.Outcome != 203 || last.Seq != 13 || last.Outcome != 212 {
		t.Errorf("%d submissions from %+v to %+v, want the latest 10", len(all), first, last)
	}
	if got := s.Traffic(0); got.Forgotten != 3 || len(got.Accounts[0].Outcomes) != 10 {
		t.Errorf("%d forgotten, outcomes %v; want 3, and ten", got.Forgotten, got.Accounts[0].Outcomes)
	}
	if got := s.Traffic(3); got.Forgotten != 0 {
		t.Errorf("%d forgotten after the third, want none", got.Forgotten)
	}
	if got := s.submissions(1, 2); len(got) != 2 || got[0].Seq != 4 || got[1].Seq != 5 {
		t.Errorf("a page of two: %+v, want the first two that are known", got)
	}
}
