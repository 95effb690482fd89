package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/doctor"
	"github.com/segue-audio/segue/internal/embedded"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider/all"
	"github.com/segue-audio/segue/internal/redistest"
)

// examined prepares an examination of a configuration.
func examined(t *testing.T, text string, environ ...string) *examination {
	t.Helper()
	file := filepath.Join(t.TempDir(), "segue.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{providers: all.Providers()}
	cfg, err := config.Load(config.Options{File: file, Environ: environ, Drivers: a.drivers(), Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return a.examination(cfg, a.root())
}

// facts is what the doctor takes from a configuration.
type facts struct {
	Accounts, Assumed, Remote, Fetching []string
	Real                                bool
}

func factsOf(t *testing.T, e *examination) facts {
	t.Helper()
	f := facts{Real: e.stakes.Real, Remote: e.publicURL().Remote, Fetching: e.publicURL().Fetching}
	for _, acc := range e.credentials(t.Context()) {
		f.Accounts = append(f.Accounts, acc.Provider+"/"+acc.Name)
		f.Assumed = append(f.Assumed, acc.Assumed...)
	}
	return f
}

func TestDoctorKnowsWhatIsAtStake(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		environ []string
		want    facts
	}{
		"nothing": {"", nil, facts{}},
		"a driver whose variable is set": {"", []string{"MOUNTSEA_API_KEY=k"}, facts{
			Accounts: []string{"mountsea/main"}, Assumed: []string{"providers.mountsea.credits.upload", "providers.mountsea.credits.extend"},
			Remote: []string{"mountsea"}, Fetching: []string{"mountsea"}, Real: true,
		}},
		"prices that are set": {"providers: {mountsea: {credits: {upload: 1, extend: 8}}}", []string{"MOUNTSEA_API_KEY=k"}, facts{
			Accounts: []string{"mountsea/main"}, Remote: []string{"mountsea"}, Fetching: []string{"mountsea"}, Real: true,
		}},
		"one that is given the bytes": {"providers: {kie: {accounts: {b: {api_key: k}, a: {api_key: l}}}}", nil, facts{
			Accounts: []string{"kie/a", "kie/b"}, Remote: []string{"kie"}, Real: true,
		}},
		"a simulated one": {"providers: {studio: {driver: sim}}", nil, facts{Accounts: []string{"studio/main"}}},
		"one that plays the part on this machine": {"providers: {mountsea: {base_url: http://127.0.0.1:4100/mountsea}}", []string{"MOUNTSEA_API_KEY=k"}, facts{
			Accounts: []string{"mountsea/main"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, factsOf(t, examined(t, c.text, c.environ...))); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDoctorKnowsAccounts(t *testing.T) {
	e := examined(t, "providers: {kie: {accounts: {a: {api_key: k, budget: 70}, b: {api_key_env: NOT_THERE}}}, studio: {driver: sim}}")
	about := e.credentials(t.Context())
	if len(about) != 3 {
		t.Fatalf("%d accounts, want 3", len(about))
	}
	a, b, sim := about[0], about[1], about[2]
	if a.Missing != nil || a.Budget == nil || *a.Budget != 70 || a.Price != 12 || a.Credits == nil {
		t.Errorf("account a is %+v, want one with a key, a budget of 70 and a price of 12", a)
	}
	if fault.CodeOf(b.Missing) != fault.Denied || b.Alone {
		t.Errorf("account b lacks its key by %v, alone %t; want denied, and another that has one", b.Missing, b.Alone)
	}
	if sim.Credits != nil || sim.Missing != nil {
		t.Errorf("the simulated account is %+v, want one that nobody can be asked about", sim)
	}
}

func TestDoctorKnowsWhatWasSpent(t *testing.T) {
	e := examined(t, "providers: {studio: {driver: sim, accounts: {main: {budget: 20}}}}")
	rdb, _ := redistest.Mini(t)
	e.books = ledger.New(rdb)
	account := ledger.Account{Provider: "studio", Name: "main"}
	if err := e.books.Charge(t.Context(), account, ledger.Entry{Session: noSession, Step: "extend"}, 20); err != nil {
		t.Fatal(err)
	}
	if err := e.books.RunDry(t.Context(), account, time.Hour, 10); err != nil {
		t.Fatal(err)
	}
	if got := e.credentials(t.Context())[0]; got.Used != 20 || got.Parked < 59*time.Minute {
		t.Errorf("account main has used %g and is parked for %s, want 20 and an hour", got.Used, got.Parked)
	}
}

func TestDoctorKnowsDirectories(t *testing.T) {
	dir := t.TempDir()
	for _, written := range []string{dir + "/a b", "file://" + dir + "/a%20b"} {
		if got := examined(t, "archive: {url: \""+written+"\"}").disk(); got.Archive != dir+"/a b" || got.Elsewhere != "" {
			t.Errorf("the archive %s is %q, want %s", written, got.Archive, dir+"/a b")
		}
	}
	if got := examined(t, "archive: {url: s3://bucket/x}").disk(); got.Elsewhere != "s3://bucket/x" || got.Archive != "" {
		t.Errorf("the archive is %q and %q, want s3://bucket/x and no directory", got.Elsewhere, got.Archive)
	}
}

func TestDoctorNamesACommandOnlyWhereThereIsOne(t *testing.T) {
	a := &app{providers: all.Providers()}
	root := &cobra.Command{Use: "segue"}
	if got := a.examination(&config.Config{}, root).rebuild; got != "" {
		t.Errorf("without such a command it is %q, want nothing", got)
	}
	root.AddCommand(&cobra.Command{Use: "rebuild", Run: func(*cobra.Command, []string) {}})
	if got := a.examination(&config.Config{}, root).rebuild; got != "segue rebuild" {
		t.Errorf("the command is %q, want segue rebuild", got)
	}
}

func TestDiagnosis(t *testing.T) {
	fine := doctor.Finding{Level: doctor.Warning, Text: "late"}
	plain := doctor.Finding{Level: doctor.Error, Text: "full", Cure: "make room"}
	denied := doctor.Finding{Level: doctor.Error, Text: "wrong key", Code: fault.Denied}
	silent := doctor.Finding{Level: doctor.Error, Text: "silent", Cure: "start it", Code: fault.Unavailable}
	for _, c := range []struct {
		findings   []doctor.Finding
		code       int
		text, hint string
	}{
		{[]doctor.Finding{fine, plain}, exitOther, "full", "make room"},
		{[]doctor.Finding{plain, fine, denied}, exitDenied, "wrong key (and 1 other error)", "segue doctor again, when that is put right"},
		{[]doctor.Finding{denied, plain, silent}, exitUnreachable, "silent (and 2 other errors)", "start it"},
	} {
		err := diagnosis(c.findings)
		f, ok := errors.AsType[*failure](err)
		if !ok || f.code != c.code || f.Error() != c.text || f.hint != c.hint {
			t.Errorf("diagnosis(%v) = %+v, want code %d, %q, %q", c.findings, f, c.code, c.text, c.hint)
		}
	}
	if err := diagnosis([]doctor.Finding{fine}); err != nil {
		t.Errorf("diagnosis of a warning = %v, want none", err)
	}
}

func TestDoctorInJSON(t *testing.T) {
	got := segue(t, nil, "doctor", "--json")
	var report struct {
		Errors, Warnings *int
		Findings         []doctor.Finding
	}
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if got.code != exitOK || report.Errors == nil || *report.Errors != 0 || report.Warnings == nil || len(report.Findings) < 6 {
		t.Errorf("exit code %d with %s; want 0, and at least six findings without an error", got.code, got.stdout)
	}
}

// While a process runs on the embedded Redis, the doctor looks into that one.
func TestDoctorBesideAWorker(t *testing.T) {
	dir := t.TempDir()
	running, err := embedded.Start(t.Context(), embedded.Options{Dir: dir, Command: "segue up"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	}()
	segue(t, []string{"SEGUE_STATE_DIR=" + dir}, "doctor").holds(t, exitOK,
		`^ok +embedded.start +it is at work: .* is in use by process \d+ \(segue up\)`,
		`^ok +redis.reach +the embedded redis answers$`, `^ok +sessions.state +there are no sessions$`)
}

func TestDoctorMindsRedisOnlyWhereItMatters(t *testing.T) {
	url, rdb := redistest.Server(t)
	if err := rdb.ConfigSet(t.Context(), "appendonly", "no").Err(); err != nil {
		t.Fatal(err)
	}
	segue(t, []string{"SEGUE_REDIS_URL=" + url}, "doctor").holds(t, exitOK,
		`^note +redis.appendonly +redis would forget what was paid for: .*only simulated credits are at stake\)$`, `^ +try: redis-cli CONFIG SET appendonly yes`)
}

func TestDoctorRefusesABrokenConfiguration(t *testing.T) {
	segue(t, []string{"SEGUE_WORKER_DRIAN=3s"}, "doctor").holds(t, exitUsage, `^error: SEGUE_WORKER_DRIAN: there is no such key`)
	segue(t, nil, "doctor", "everything").holds(t, exitUsage, `takes no arguments`)
}
