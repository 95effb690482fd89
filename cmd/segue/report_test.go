package main

import (
	"encoding/json"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// told is what both a report and a status say of a session.
type told struct {
	SessionID string
	Status    string
	Counts    map[string]int
	Credits   float64
	InDoubt   float64
	Reused    []string
	// Items is each item's status and what it cost.
	Items map[string]priced
}

type priced struct {
	Status  string
	Credits float64
}

// agree holds segue report --json of one session to segue status --json of it.
func agree(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 2, "agree REPORT STATUS")
	if diff := cmp.Diff(statusTells(ts, args[1]), reportTells(ts, args[0])); diff != "" {
		ts.Fatalf("the report is not what the status says (-status +report):\n%s", diff)
	}
}

func reportTells(ts *testscript.TestScript, name string) told {
	type line struct {
		SessionID      string         `json:"sessionId"`
		Status         string         `json:"status"`
		Counts         map[string]int `json:"counts"`
		Credits        float64        `json:"credits"`
		CreditsInDoubt float64        `json:"creditsInDoubt"`
		Reused         int            `json:"reused"`
	}
	var r struct {
		Counts         map[string]int
		Credits        float64
		CreditsInDoubt float64
		Sessions       []line
		Reused         []struct{ Source string }
		Failures       []struct {
			Items   int
			Credits float64
		}
		Items []struct {
			ItemID  string
			Status  string
			Credits float64
		}
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(name)), &r))
	if len(r.Sessions) != 1 {
		ts.Fatalf("%d sessions in the report, want one", len(r.Sessions))
	}
	s := r.Sessions[0]
	all := line{s.SessionID, s.Status, r.Counts, r.Credits, r.CreditsInDoubt, len(r.Reused)}
	if diff := cmp.Diff(all, s); diff != "" {
		ts.Fatalf("the report's sums are not those of its one session (-sums +session):\n%s", diff)
	}
	blamed := 0
	for _, f := range r.Failures {
		blamed += f.Items
	}
	if bad := r.Counts["failed"] + r.Counts["held"]; blamed != bad {
		ts.Fatalf("%d items have a cause, want the %d that failed or are held", blamed, bad)
	}
	t := told{SessionID: s.SessionID, Status: s.Status, Counts: s.Counts, Credits: s.Credits, InDoubt: s.CreditsInDoubt, Items: map[string]priced{}}
	for _, left := range r.Reused {
		t.Reused = append(t.Reused, left.Source)
	}
	for _, it := range r.Items {
		t.Items[it.ItemID] = priced{it.Status, it.Credits}
	}
	return t
}

func statusTells(ts *testscript.TestScript, name string) told {
	var s struct {
		SessionID    string
		Status       string
		Counts       map[string]int
		CreditsSpent float64
		Reused       []struct{ Source string }
		Items        []struct {
			ItemID         string
			Status         string
			Credits        float64
			CreditsInDoubt float64
		}
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(name)), &s))
	t := told{SessionID: s.SessionID, Status: s.Status, Counts: s.Counts, Credits: s.CreditsSpent, Items: map[string]priced{}}
	for _, left := range s.Reused {
		t.Reused = append(t.Reused, left.Source)
	}
	for _, it := range s.Items {
		t.InDoubt += it.CreditsInDoubt
		t.Items[it.ItemID] = priced{it.Status, it.Credits}
	}
	return t
}
