package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/segue-audio/segue/enqueue"
)

func TestNamesDoNotSteerTheTerminal(t *testing.T) {
	for name, test := range map[string]struct{ text, printable, inLine string }{
		"letters":       {"Ä/b ü – 日本 👩‍🎤.mp3", "Ä/b ü – 日本 👩‍🎤.mp3", "Ä/b ü – 日本 👩‍🎤.mp3"},
		"colour":        {"a\x1b[31mb", "a\ufffd[31mb", "a\ufffd[31mb"},
		"carriage":      {"bad.mp3\rgood.mp3", "bad.mp3\ufffdgood.mp3", "bad.mp3\ufffdgood.mp3"},
		"C1":            {"a\u009b31mb", "a\ufffd31mb", "a\ufffd31mb"},
		"lines":         {"one\ntwo", "one\ntwo", "one\ufffdtwo"},
		"right to left": {"gp\u202e3pm.exe", "gp\ufffd3pm.exe", "gp\ufffd3pm.exe"},
	} {
		if got := printable(test.text); got != test.printable {
			t.Errorf("%s: printable gives %q, want %q", name, got, test.printable)
		}
		if got := inLine(test.text); got != test.inLine {
			t.Errorf("%s: inLine gives %q, want %q", name, got, test.inLine)
		}
	}
}

func TestTablesAreOfPrintableCells(t *testing.T) {
	var out bytes.Buffer
	rows := (&app{environment: environment{stdout: &out}}).table("file", "credits")
	rows.AppendRow(table.Row{"a\x1b[2Jb.mp3", 12})
	rows.AppendRow(table.Row{"c.mp3", 1200})
	rows.Render()
	want := " file        credits \n a\ufffd[2Jb.mp3       12 \n c.mp3          1200 \n"
	if got := out.String(); got != want {
		t.Errorf("the table is\n%q, want\n%q", got, want)
	}
}

func TestWhatWentWrongSaysWhatItCost(t *testing.T) {
	for name, test := range map[string]struct {
		failure enqueue.ItemError
		want    string
	}{
		"refused":        {enqueue.ItemError{Step: "extend", Reason: "no", Code: "rejected", Charge: "not charged"}, "no (rejected, not charged)"},
		"lost":           {enqueue.ItemError{Step: "extend", Reason: "no", Code: "timeout", Charge: "unknown"}, "no (timeout, perhaps charged)"},
		"not said":       {enqueue.ItemError{Step: "upload", Reason: "no", Code: "timeout"}, "no (timeout, charge unknown)"},
		"not archived":   {enqueue.ItemError{Step: "fetch", Reason: "no", Code: "unavailable", Charge: "not charged"}, "no (unavailable, fetching costs nothing)"},
		"with an escape": {enqueue.ItemError{Step: "extend", Reason: "\x1b[1mno", Code: "rejected", Charge: "charged"}, "\ufffd[1mno (rejected, charged)"},
	} {
		var out bytes.Buffer
		a := &app{environment: environment{stdout: &out}}
		a.printItems(&enqueue.Status{Items: []enqueue.ItemStatus{{ItemID: "ses_1.0", Source: "a.mp3", Status: "queued", Step: test.failure.Step, Credits: 12, Error: &test.failure}}})
		if want := "what went wrong:\n  ses_1.0  a.mp3: " + test.want + "\n"; !strings.HasSuffix(out.String(), want) {
			t.Errorf("%s: it ends with %q, want %q", name, out.String(), want)
		}
	}
}
