//go:build unix

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/e2e/proctest"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/simulator"
)

// wishes are parameters that each of the vendors takes.
var wishes = []string{"--extend", "--continue-at", "-1", "--title", "End to end", "--style", "ambient", "--instrumental"}

// TestFourProviders is the main job at each provider, once with callbacks and once
// by polling alone: every song is paid for once, the audioIds are complete and in
// order, the files are those that the provider serves, and the provider has nothing
// to complain about.
func TestFourProviders(t *testing.T) {
	for _, v := range proctest.Vendors() {
		t.Run(v.Name+" with callbacks", func(t *testing.T) {
			t.Parallel()
			s := installed(t, program(t), setup{poll: "500ms"})
			s.worker("worker")
			songs := tones(t, t.TempDir(), 8)
			st, code := s.watch(s.submitTo(v.Name, wishes, songs))
			if code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			s.honored(v, songs, st)
			said := s.provider.Verdict()
			if made := said.Callbacks > 0; made != v.Calls {
				t.Errorf("%d callbacks were sent; want some: %t", said.Callbacks, v.Calls)
			}
			if said.UnreachedCallbacks+said.RefusedCallbacks+said.SlowCallbacks+said.AbandonedCallbacks != 0 {
				t.Errorf("of %d callbacks %d reached nobody, %d were refused, %d answered late, %d given up; want none",
					said.Callbacks, said.UnreachedCallbacks, said.RefusedCallbacks, said.SlowCallbacks, said.AbandonedCallbacks)
			}
		})
		t.Run(v.Name+" by polling alone", func(t *testing.T) {
			t.Parallel()
			needsRedisServer(t)
			s := &system{t: t, dir: t.TempDir(), binary: program(t)}
			s.provider = proctest.StartProvider(t, s.binary, *seed)
			songs := tones(t, t.TempDir(), 8)
			outside := setup{poll: "500ms", elsewhere: true}
			if v.ByURL {
				outside.files = published(t, songs)
			}
			s.set("", outside)
			args := append([]string{"run", "--provider", v.Name, "--json"}, wishes...)
			out := s.run(time.Minute, append(args, proctest.Paths(songs)...)...)
			if out.code != 0 {
				t.Fatalf("exit code %d, want 0\n%s", out.code, proctest.Tail(out.stdout, 20))
			}
			s.honored(v, songs, proctest.Decode(t, out.stdout))
			if said := s.provider.Verdict(); said.Callbacks != said.UnreachedCallbacks {
				t.Errorf("%d of %d callbacks reached somebody, and nobody is to be reached", said.Callbacks-said.UnreachedCallbacks, said.Callbacks)
			}
		})
	}
}

// setup is what installations differ in.
type setup struct {
	// poll is the least time between two questions.
	poll string
	// accounts is how many there are beside "main", the first of them "account0".
	accounts int
	// options are those of KIE's driver, limits what is configured to be allowed there.
	options, limits string
	// behind is what stands before the simulator; nil is nothing.
	behind func(p *provider) *provider
	// elsewhere makes the simulator look as if it ran on another machine, which
	// cannot reach this one.
	elsewhere bool
	// files is a host that serves songs.
	files string
	// simulator are arguments of segue sim.
	simulator []string
}

// installed is an installation on a redis-server that knows all of the vendors, and
// has no worker yet.
func installed(t testing.TB, binary string, with setup) *system {
	t.Helper()
	url, rdb := redistest.Server(t)
	s := &system{t: t, dir: t.TempDir(), binary: binary, rdb: rdb}
	s.provider = proctest.StartProvider(t, binary, *seed, with.simulator...)
	if with.behind != nil {
		s.provider = with.behind(s.provider)
	}
	s.set(url, with)
	s.serve = s.start("serve", "serve", "--server-addr", "127.0.0.1:0")
	s.url = s.serve.Says(s.serve.Stderr, `serving on (http://\S+)`)[1]
	return s
}

// set writes a configuration with every vendor in it.
func (s *system) set(redisURL string, with setup) {
	s.t.Helper()
	accounts := []string{"main: {api_key: " + proctest.APIKey + "}"}
	for n := range with.accounts {
		accounts = append(accounts, fmt.Sprintf("account%d: {api_key: %s-%d}", n, proctest.APIKey, n))
	}
	host := s.provider.Host
	if with.elsewhere {
		// Connections to the unspecified address stay here, and it is no loopback one.
		host = strings.Replace(host, "127.0.0.1:", "0.0.0.0:", 1)
	}
	text := fmt.Sprintf("redis: {url: %q}\nstate_dir: state\nworker: {drain: %s}\narchive: {url: archive}\nsecurity: {allow_private_hosts: [%s]}\nproviders:\n",
		redisURL, drain, strings.Join(slices.DeleteFunc([]string{host, with.files}, func(h string) bool { return h == "" }), ", "))
	own := map[string]string{
		"kie":      fmt.Sprintf(", staging_url: %s/kie-staging, options: [%s], limits: {%s}", "http://"+host, with.options, with.limits),
		"mountsea": fmt.Sprintf(", credits_url: %s/mountsea-credits", "http://"+host),
	}
	for _, v := range proctest.Vendors() {
		text += fmt.Sprintf("  %[1]s: {driver: %[1]s, base_url: %[2]s/%[1]s, accounts: {%[3]s}, poll: {min: %[4]s, max: 60s}%[5]s}\n",
			v.Name, "http://"+host, strings.Join(accounts, ", "), with.poll, own[v.Name])
	}
	if err := os.WriteFile(filepath.Join(s.dir, "segue.yaml"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// published serves songs from a host, whose name it gives; they are then called by
// their URLs.
func published(t testing.TB, songs []song) (host string) {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(songs[0].Path))))
	t.Cleanup(server.Close)
	for n := range songs {
		songs[n].Path = server.URL + "/" + filepath.Base(songs[n].Path)
	}
	return strings.TrimPrefix(server.URL, "http://")
}

// submitTo enqueues songs and gives the session's id.
func (s *system) submitTo(vendor string, wishes []string, songs []song) string {
	s.t.Helper()
	args := append([]string{"submit", "--provider", vendor}, wishes...)
	out := s.run(time.Minute, append(args, proctest.Paths(songs)...)...)
	id := strings.TrimSuffix(out.stdout, "\n")
	if out.code != 0 || !strings.HasPrefix(id, "ses_") {
		s.t.Fatalf("submit: exit code %d, stdout %q; want 0 and a session id", out.code, out.stdout)
	}
	return id
}

// honored is fulfilled and archived for any of the vendors.
func (s *system) honored(v vendor, songs []song, st *status) {
	s.t.Helper()
	want := len(songs)
	if st.Status != "succeeded" || st.Counts.Total != want || st.Counts.Succeeded != want || len(st.Items) != want {
		s.t.Fatalf("status %q, counts %+v, %d items; want all of %d succeeded", st.Status, st.Counts, len(st.Items), want)
	}
	// The verdict first: asking about operations and tracks is conduct, too.
	judged(s.t, s.provider.Verdict(), want*len(v.Paid))
	book := s.provider.Book()
	if len(book) != want*len(v.Paid) {
		s.t.Errorf("%d different jobs were charged, want %d", len(book), want*len(v.Paid))
	}
	ids := make([]string, 0, 2*want)
	for n, song := range songs {
		if got := st.Items[n].Source; got != song.Path {
			s.t.Errorf("item %d is %s, want %s", n, got, song.Path)
		}
		var made simulator.Charge // by the last of the paid requests
		for _, endpoint := range v.Paid {
			charges := book[job{SHA256: song.SHA256, Endpoint: endpoint}]
			if len(charges) != 1 {
				s.t.Fatalf("%s was charged %d times at %s, want once", song.Path, len(charges), endpoint)
			}
			made = charges[0]
		}
		tracks := v.Tracks(s.provider, made.OperationID)
		if diff := cmp.Diff(tracks, st.Items[n].AudioIDs); diff != "" {
			s.t.Errorf("audioIds of %s (-provider +segue):\n%s", song.Path, diff)
		}
		ids = append(ids, tracks...)
	}
	if diff := cmp.Diff(ids, st.AudioIDs); diff != "" || len(ids) != 2*want {
		s.t.Errorf("%d audioIds in the order of the input, want %d (-provider +segue):\n%s", len(ids), 2*want, diff)
	}
	if want := v.Price * float64(want); st.CreditsSpent != want {
		s.t.Errorf("creditsSpent is %g, want %g", st.CreditsSpent, want)
	}
	archived(s.t, s.provider, filepath.Join(s.dir, "archive"), st)
}
