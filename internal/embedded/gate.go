package embedded

import (
	"slices"
	"sync"

	miniserver "github.com/alicebob/miniredis/v2/server"
)

// gate lets a save see a state between two commands. The stand-in has a lock,
// but none that can be held while its values are read, and reading them by a
// script takes twenty times as long.
type gate struct {
	commands sync.RWMutex // held for reading while a command runs

	mu sync.Mutex
	// running tells, for every connection, whether its command is past the gate.
	running map[*miniserver.Peer]bool
}

// blocking commands may wait for ever, and must not keep a save waiting. A save
// may so fall between the two halves of one; none of ours or asynq's is among
// them.
var blocking = []string{"BLMOVE", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN", "XREAD", "XREADGROUP"}

func (g *gate) close() { g.commands.Lock() }
func (g *gate) open()  { g.commands.Unlock() }

// hook runs each connection's commands within the gate.
func (g *gate) hook(s *miniserver.Server) miniserver.Hook {
	return func(c *miniserver.Peer, command string, args ...string) bool {
		if !g.enter(c) {
			return false
		}
		defer g.leave(c)
		if slices.Contains(blocking, command) {
			s.Dispatch(c, append([]string{command}, args...))
			return true
		}
		g.commands.RLock()
		defer g.commands.RUnlock()
		s.Dispatch(c, append([]string{command}, args...))
		return true
	}
}

// enter says whether c's command comes from outside. It does not when hook
// itself dispatches it, and when a script calls it: a script runs within its
// own EVAL, as a peer that nobody has seen before and that has a context.
func (g *gate) enter(c *miniserver.Peer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	running, known := g.running[c]
	if running || (!known && c.Ctx != nil) {
		return false
	}
	if !known {
		c.OnDisconnect(func() { g.forget(c) })
	}
	if g.running == nil {
		g.running = make(map[*miniserver.Peer]bool)
	}
	g.running[c] = true
	return true
}

func (g *gate) leave(c *miniserver.Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running[c] = false
}

func (g *gate) forget(c *miniserver.Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.running, c)
}
