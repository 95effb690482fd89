package certify

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// Segue is this product as its users run it: `segue serve` and `segue worker` as
// processes, submissions through package enqueue, held items through `segue
// resolve`.
type Segue struct {
	// Binary is the segue command; Env is what every process of it is given, without
	// any SEGUE_ variable.
	Binary string
	Env    []string

	rig    *Rig
	reach  string
	client *enqueue.Client
	store  *session.Store

	mu      sync.Mutex
	open    []string        // sessions that are not known to be over
	loads   map[string]Load // what was on its way in them when they were last looked at
	looks   int
	all     []string
	workers map[int]string         // their names in claims
	settled map[string][]time.Time // sessions, by the log
}

// Name is "segue".
func (s *Segue) Name() string { return "segue" }

// Start runs segue serve, which holds staged files and takes callbacks.
func (s *Segue) Start(ctx context.Context, r *Rig) error {
	s.rig, s.workers, s.settled, s.loads = r, map[int]string{}, map[string][]time.Time{}, map[string]Load{}
	s.store = session.NewStore(r.Redis)
	s.client = enqueue.NewFromRedis(r.Redis)
	if err := os.WriteFile(filepath.Join(r.Options.Dir, "segue.yaml"), s.config(), 0o600); err != nil {
		return err
	}
	var err error
	s.reach, err = r.Keep(ctx, s.command("serve", 0, "serve", "--server-addr", "127.0.0.1:0"), func(line []byte) (string, bool) {
		_, rest, found := strings.Cut(string(line), "serving on ")
		url, _, _ := strings.Cut(rest, " ")
		return url, found
	})
	return err
}

// Close has nothing to end: the rig ends what it keeps.
func (s *Segue) Close() error { return nil }

// config is the configuration file of every process.
func (s *Segue) config() []byte {
	o, provider := s.rig.Options, s.rig.ProviderURL
	accounts := make([]string, o.Accounts)
	for n := range accounts {
		name := s.rig.Account(n)
		accounts[n] = fmt.Sprintf("%s: {api_key: %s}", name, s.rig.Key(name))
	}
	gate := s.rig.Gateway.URL(0)
	own := map[string]string{
		"kie":      fmt.Sprintf("\n    staging_url: %s/kie-staging", provider),
		"sunoapi":  fmt.Sprintf("\n    staging_url: %s/sunoapi-staging", provider),
		"mountsea": fmt.Sprintf("\n    credits_url: %s/mountsea-credits", gate),
	}[o.Provider]
	if !o.Mild {
		// The simulated provider allows any number, and what is to be shown is many kills.
		own += "\n    limits: {submit: none, in_flight: 0}"
	}
	return fmt.Appendf(nil, `redis: {url: %q}
state_dir: state/segue
log: {format: json, level: info}
worker: {drain: 10s}
archive: {url: archive}
security: {allow_private_hosts: [%q]}
providers:
  %s:
    base_url: %s
    poll: {min: 200ms, max: 2s}
    evidence: {horizon: %s}
    accounts: {%s}%s
`, s.rig.RedisURL, strings.TrimPrefix(provider, "http://"), o.Provider, gate+"/"+o.Provider, o.Horizon, strings.Join(accounts, ", "), own)
}

// command is a command of segue, which reaches the provider as worker n.
func (s *Segue) command(name string, n int, args ...string) Command {
	o := s.rig.Options
	env := append(slices.Clone(s.Env), "HOME="+o.Dir, fmt.Sprintf("SEGUE_PROVIDERS_%s_BASE_URL=%s/%s", strings.ToUpper(o.Provider), s.rig.Gateway.URL(n), o.Provider))
	return Command{Name: name, Path: s.Binary, Args: args, Dir: o.Dir, Env: env}
}

// line is what is read of a log line.
type line struct {
	Time    time.Time `json:"time"`
	Message string    `json:"msg"`
	Worker  string    `json:"worker"`
	Session string    `json:"session"`
}

// Worker is segue worker.
func (s *Segue) Worker(n int) Worker {
	ready := make(chan struct{})
	c := s.command("", n, "worker", "--server-public-url", s.reach)
	c.Heard = func(text []byte) {
		var l line
		if json.Unmarshal(text, &l) != nil {
			return // not a line of the log
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		switch l.Message {
		case "worker started":
			s.workers[n] = l.Worker
			close(ready)
		case "session settled":
			s.settled[l.Session] = append(s.settled[l.Session], l.Time)
		}
	}
	return Worker{Command: c, Ready: ready}
}

// Submit submits through package enqueue, as a service does.
func (s *Segue) Submit(ctx context.Context, batch Batch) (string, error) {
	items := make([]enqueue.Item, len(batch.Songs))
	for n, song := range batch.Songs {
		items[n] = enqueue.Item{Source: song.Path, Known: enqueue.Audio{
			Format: "wav", Size: song.Size, ModTime: song.ModTime, SHA256: song.SHA256, Duration: song.Length,
		}}
	}
	wanted := enqueue.Session{Provider: s.rig.Options.Provider, Account: batch.Account, Items: items}
	if batch.Last == stepExtend {
		wanted.Extend = &enqueue.Extend{ContinueAt: 1, Instrumental: true, Style: "ambient", Title: "Certified"}
	}
	submitted, err := s.client.Submit(ctx, wanted)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open, s.all = append(s.open, submitted.SessionID), append(s.all, submitted.SessionID)
	return submitted.SessionID, nil
}

// notOver are the sessions to look at: where nothing was moving only when all are
// asked for.
func (s *Segue) notOver(all bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.open), func(id string) bool {
		load, known := s.loads[id]
		return !all && known && load.Moving == 0 && load.Doubtful+load.Held > 0
	})
}

// seldom is how many looks at what moves come to one look at what does not: there may
// be hundreds of sessions in which one song waits for evidence or a person.
const seldom = 20

// Load counts the items of every session that is not over.
func (s *Segue) Load(ctx context.Context) (Load, error) {
	s.mu.Lock()
	s.looks++
	all := s.looks%seldom == 0
	s.mu.Unlock()
	load, err := s.look(ctx, all)
	if err == nil && !all && load.Open == 0 {
		return s.look(ctx, true)
	}
	return load, err
}

func (s *Segue) look(ctx context.Context, all bool) (Load, error) {
	var load Load
	for _, id := range s.notOver(all) {
		current, err := s.store.Session(ctx, id)
		if err != nil {
			return load, err
		}
		one := loadOf(current)
		s.mu.Lock()
		s.loads[id] = one
		if current.Status().Over() && one.Open == 0 && one.Held == 0 {
			delete(s.loads, id)
			s.open = slices.DeleteFunc(s.open, func(other string) bool { return other == id })
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.loads {
		load.Moving, load.Doubtful, load.Held, load.Open = load.Moving+one.Moving, load.Doubtful+one.Doubtful, load.Held+one.Held, load.Open+one.Open
	}
	return load, nil
}

// loadOf counts the items of one session.
func loadOf(current *session.Session) Load {
	var load Load
	for label, n := range current.Counts {
		switch state := session.State(label[strings.LastIndexByte(label, '.')+1:]); {
		case state == session.Held:
			load.Held += n
		case state == session.Reconciling:
			load.Doubtful += n
		case !state.Ended():
			load.Moving += n
		}
	}
	settled := current.Completions > 0 && current.Completions == current.Settled
	if status := current.Status(); status != session.StatusHeld && !(status.Over() && settled) {
		load.Open = 1
	}
	return load
}

// grip is a claim of a dead worker.
type grip struct {
	id    string
	index int
	epoch int64
	// step and generation tell a request that is sent anew from one that was accepted.
	step       session.StepName
	generation int
}

// InHand lists the items that a worker had claimed.
func (s *Segue) InHand(ctx context.Context, n int) ([]Grip, error) {
	s.mu.Lock()
	name := s.workers[n]
	s.mu.Unlock()
	var grips []Grip
	for _, id := range s.notOver(false) {
		err := s.store.Each(ctx, id, 0, 0, func(it *session.Item) error {
			claimed := it.State == session.Sending || it.State == session.Running
			if claimed && it.Claim != nil && it.Claim.Worker == name {
				grips = append(grips, Grip{grip{id, it.Index, it.Epoch, it.Step, it.Generation}, it.State == session.Sending})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return grips, nil
}

// Look reads the item again.
func (s *Segue) Look(ctx context.Context, g Grip) (Sight, error) {
	held, ok := g.What.(grip)
	if !ok {
		return Sight{}, fault.New(fault.Internal, "certify.Look", fmt.Errorf("%T is no grip", g.What))
	}
	work, err := s.store.Load(ctx, held.id, held.index)
	if err != nil {
		return Sight{}, err
	}
	it := &work.Item
	if it.Epoch == held.epoch {
		return Sight{}, nil
	}
	sight := Sight{Moved: it.Updated}
	switch {
	case it.State.InDoubt():
		return sight, nil // a callback may still settle it
	case it.Step == held.step && it.Generation > held.generation:
		sight.How = NotAccepted
	default:
		sight.How = Adopted
	}
	sight.Settled = it.Updated
	return sight, nil
}

// Resolve runs segue resolve: an item was accepted as the operation in the provider's
// log, or it is in no log and is sent again.
func (s *Segue) Resolve(ctx context.Context, held []Held) error {
	const atOnce, some = 2, 100
	var decisions [][]string
	var again []string
	for _, h := range held {
		if h.Charged {
			decisions = append(decisions, []string{"resolve", h.Item, "--operation", h.Operation})
		} else {
			again = append(again, h.Item)
		}
	}
	for items := range slices.Chunk(again, some) {
		decisions = append(decisions, slices.Concat([]string{"resolve", "--resubmit"}, items))
	}
	together, ctx := errgroup.WithContext(ctx)
	together.SetLimit(atOnce)
	for n, args := range decisions {
		together.Go(func() error { return s.rig.Do(ctx, s.command("resolve-"+strconv.Itoa(n), 0, args...)) })
	}
	return together.Wait()
}
