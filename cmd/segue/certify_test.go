package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/certify"
)

// TestCertifyFindsCheats puts a system to the test that pays twice, loses what it paid
// for and says that all is well: the charge log of a real provider process must say
// otherwise.
func TestCertifyFindsCheats(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is not installed, and CI must have it")
		}
		t.Skip("redis-server is not installed")
	}
	for _, c := range []struct {
		name  string
		cheat cheat
		extra int
		lost  int
		want  []string // the promises that are broken
	}{
		{"an honest one", cheat{pays: 1, records: true}, 0, 0, nil},
		{"pays twice", cheat{pays: 2, records: true}, 2, 0, []string{"paid once"}},
		{"forgets what it paid for", cheat{pays: 1}, 0, 2, []string{"nothing lost"}},
		{"mixes up its songs", cheat{pays: 1, records: true, mixes: true}, 0, 0, []string{"completed once", "in order"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			report, err := certify.Run(t.Context(), certifyOptions(t), &c.cheat)
			if err != nil {
				t.Fatal(err)
			}
			var broken []string
			for _, b := range report.Breaches {
				broken = append(broken, b.Promise)
			}
			slices.Sort(broken)
			if diff := cmp.Diff(c.want, slices.Compact(broken)); diff != "" {
				t.Errorf("broken promises (-want +got):\n%s\n%v", diff, report.Breaches)
			}
			if f := report.Final; f.Charges != 2*c.cheat.pays || f.Extra != c.extra || f.Lost != c.lost || report.Kills != 2 {
				t.Errorf("%d charges, %d extra, %d lost, %d kills; want %d, %d, %d, 2", f.Charges, f.Extra, f.Lost, report.Kills, 2*c.cheat.pays, c.extra, c.lost)
			}
		})
	}
}

// certifyOptions runs the simulator in a process of its own: this test binary is segue
// when it is called so.
func certifyOptions(t *testing.T) certify.Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// A socket's path is at most 107 bytes long; the test's own directory may be longer.
	dir, err := os.MkdirTemp("", "segue")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	segue := filepath.Join(dir, "segue")
	if err := os.Symlink(self, segue); err != nil {
		t.Fatal(err)
	}
	return certify.Options{
		Kills: 2, Every: 50 * time.Millisecond, Workers: 1, Items: 2, Sessions: 1, InFlight: 2, Accounts: 1,
		Provider: "kie", Evidence: certify.EvidenceAll, Seed: 7, Resolve: true, Patience: time.Minute,
		Dir: filepath.Join(dir, "run"), Sim: certify.Command{Path: segue, Args: []string{"sim"}, Env: []string{"HOME=" + dir}},
	}
}

// cheat is a system that does its work while it is submitted. Its workers are there
// to be killed.
type cheat struct {
	// pays is how often it pays for each song; records says that it puts the last of
	// these on record; mixes hands on the clips in the wrong order.
	pays           int
	records, mixes bool

	rig      *certify.Rig
	sessions []certify.Session
}

func (*cheat) Name() string                                          { return "cheat" }
func (*cheat) Close() error                                          { return nil }
func (*cheat) Resolve(context.Context, []certify.Held) error         { return errors.New("nothing is held") }
func (c *cheat) Start(_ context.Context, r *certify.Rig) error       { c.rig = r; return nil }
func (*cheat) InHand(context.Context, int) ([]certify.Grip, error)   { return nil, nil }
func (c *cheat) Sessions(context.Context) ([]certify.Session, error) { return c.sessions, nil }

func (*cheat) Look(context.Context, certify.Grip) (certify.Sight, error) {
	return certify.Sight{}, nil
}

// Load keeps the run from submitting more than one session.
func (c *cheat) Load(context.Context) (certify.Load, error) {
	return certify.Load{Moving: 2 * len(c.sessions)}, nil
}

func (c *cheat) Worker(int) certify.Worker {
	ready := make(chan struct{})
	idle := c.rig.Options.Sim
	idle.Args, idle.Dir = []string{"sim", "--addr", "127.0.0.1:0"}, c.rig.Options.Dir
	idle.Heard = func(line []byte) {
		if bytes.HasPrefix(line, []byte("url ")) {
			close(ready)
		}
	}
	return certify.Worker{Command: idle, Ready: ready}
}

func (c *cheat) Submit(ctx context.Context, batch certify.Batch) (string, error) {
	s := certify.Session{ID: "s", Settled: 1}
	for n, song := range batch.Songs {
		it := certify.Item{ID: fmt.Sprint("s.", n), State: "succeeded", Step: "extend"}
		var operation string
		for range c.pays {
			var err error
			if operation, err = c.pay(ctx, batch.Account, song.Path); err != nil {
				return "", err
			}
		}
		if c.records {
			it.Operations = []string{operation}
		}
		clips, err := c.clips(ctx, batch.Account, operation)
		if err != nil {
			return "", err
		}
		s.Items = append(s.Items, it)
		s.AudioIDs = append(s.AudioIDs, clips...)
	}
	if c.mixes {
		slices.Reverse(s.AudioIDs)
	}
	s.Told = s.AudioIDs
	c.sessions = append(c.sessions, s)
	return s.ID, nil
}

// pay stages a song and submits the paid request.
func (c *cheat) pay(ctx context.Context, account, path string) (string, error) {
	audio, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", filepath.Base(path))
	if err != nil {
		return "", err
	}
	_, err = part.Write(audio)
	if err := errors.Join(err, w.WriteField("uploadPath", "cheat"), w.Close()); err != nil {
		return "", err
	}
	var staged struct{ Data map[string]any }
	if err := c.call(ctx, account, c.rig.ProviderURL+"/kie-staging/api/file-stream-upload", w.FormDataContentType(), &form, &staged); err != nil {
		return "", err
	}
	address := staged.Data["downloadUrl"]
	if address == nil {
		address = staged.Data["fileUrl"]
	}
	body, err := json.Marshal(map[string]any{
		"uploadUrl": address, "defaultParamFlag": true, "instrumental": true, "continueAt": 1, "model": "V5",
		"callBackUrl": "https://callback.test/", "style": "ambient", "title": "Cheated",
	})
	if err != nil {
		return "", err
	}
	var accepted struct{ Data struct{ TaskID string } }
	err = c.call(ctx, account, c.rig.Gateway.URL(1)+"/kie/api/v1/generate/upload-extend", "application/json", bytes.NewReader(body), &accepted)
	return accepted.Data.TaskID, err
}

// clips waits for an operation's end.
func (c *cheat) clips(ctx context.Context, account, operation string) ([]string, error) {
	for {
		var said struct {
			Data struct {
				Status   string
				Response struct{ SunoData []struct{ ID string } }
			}
		}
		err := c.call(ctx, account, c.rig.Gateway.URL(1)+"/kie/api/v1/generate/record-info?taskId="+operation, "", nil, &said)
		if err != nil || strings.HasPrefix(said.Data.Status, "SUCCESS") || strings.HasPrefix(said.Data.Status, "CALLBACK") {
			var ids []string
			for _, song := range said.Data.Response.SunoData {
				ids = append(ids, song.ID)
			}
			return ids, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(400 * time.Millisecond): // three questions a second are allowed
		}
	}
}

func (c *cheat) call(ctx context.Context, account, url, contentType string, body io.Reader, into any) error {
	method := http.MethodPost
	if body == nil {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.rig.Key(account))
	req.Header.Set("User-Agent", "cheat/1.0")
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
