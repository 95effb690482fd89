package dst

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// errCut is a connection that broke.
var errCut = fmt.Errorf("connection broke: %w", io.ErrUnexpectedEOF)

// watch stops whoever is about to give Redis a command, and does to it what the
// scheduler says. It stands above go-redis's own retries: what it cuts stays cut,
// and a command that the client repeated by itself is the fate "twice".
type watch struct{ s *sim }

func (w watch) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (w watch) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		a := w.s.actorOf(ctx)
		if a == nil || internal(cmd) {
			return next(ctx, cmd)
		}
		if w.s.tamper != nil {
			w.s.tamper(cmd.Args())
		}
		v := a.carried
		if a.carried = nil; v == nil {
			said := w.s.gate(a, atRedis, label(cmd))
			v = &said
		}
		err := w.s.befall(a, v, func() error { return next(ctx, cmd) })
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			// A script's first use takes two commands. What was to befall the first
			// befalls the second, so that a run is the same whoever ran before it.
			a.carried = v
		}
		return err
	}
}

func (w watch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		a := w.s.actorOf(ctx)
		if a == nil || internal(cmds[0]) {
			return next(ctx, cmds)
		}
		v := w.s.gate(a, atRedis, label(cmds[0])+fmt.Sprintf(" +%d", len(cmds)-1))
		err := w.s.befall(a, &v, func() error { return next(ctx, cmds) })
		if errors.Is(err, errCut) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

// internal commands are no places of their own: what go-redis says when it connects,
// and what is read under a lock of its process, where nobody may stop: the book of
// times, and how long asynq's queues are.
func internal(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "hello", "client", "lrange", "sismember":
		return true
	case "evalsha", "eval":
		key := label(cmd)
		return strings.Contains(key, "}:pending ") || strings.Contains(key, "}:active ")
	}
	return false
}

// befall executes a command as the verdict says.
func (s *sim) befall(a *actor, v *verdict, execute func() error) error {
	if v.fate != goesOn {
		a.faulted = true
	}
	if v.fate == cutBefore {
		return errCut
	}
	err := execute()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return err
	}
	if v.fate == twice {
		err = execute()
	}
	s.level()
	if s.p.resubmit {
		s.witnessBirths()
	}
	if v.fate == cutAfter {
		return errCut
	}
	return err
}

// label says what a command is about, without anything random in it.
func label(cmd redis.Cmder) string {
	args := cmd.Args()
	word := func(n int) string {
		if n >= len(args) {
			return ""
		}
		text, ok := args[n].(string)
		if !ok || len(text) > 120 {
			return ""
		}
		if strings.HasPrefix(text, "segue:callback:") {
			return " segue:callback"
		}
		return " " + text
	}
	switch cmd.Name() {
	case "evalsha", "eval":
		// The script's digest is not said: it changes with every comment in it.
		return fmt.Sprint("script", word(3), " ", len(args)-3)
	}
	return cmd.Name() + word(1)
}

// level takes the jitter out of what was just written. Handlers add a random part
// to their pauses, from a source that cannot be seeded; a sweep that looked
// between the shortest and the longest of them would tell two runs of a seed
// apart.
func (s *sim) level() {
	now := float64(time.Now().UnixMilli())
	for _, id := range s.sessions {
		key := "segue:{" + id + "}:due"
		if !s.mini.Exists(key) {
			continue
		}
		due, err := s.mini.SortedSet(key)
		if err != nil {
			s.fail(err.Error())
			return
		}
		for member, score := range due {
			if s.levelled[key+member] == score {
				continue
			}
			even := now + levelled(score-now)
			s.levelled[key+member] = even
			if _, err := s.mini.ZAdd(key, even, member); err != nil {
				s.fail(err.Error())
			}
		}
	}
}

// levelled rounds a wait in milliseconds to what it is without jitter. A pause is
// a power of two of seconds, or five minutes, less up to a quarter of it; the
// sweep looks five seconds later.
func levelled(ms float64) float64 {
	const soon = 5000
	pause := ms - soon
	if pause < 750 || pause > 300_000 {
		return ms
	}
	if pause >= 192_000 {
		return 300_000 + soon
	}
	whole := 1000 * math.Exp2(math.Ceil(math.Log2(pause/1000)))
	if pause < 0.75*whole {
		return ms
	}
	return whole + soon
}
