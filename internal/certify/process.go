package certify

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Command is a process to start.
type Command struct {
	// Name is how errors call it, and its log file.
	Name string
	Path string
	Args []string
	Dir  string
	// Env is the whole environment.
	Env []string
	// Heard is called with every line that it writes, on either stream, without the
	// end of line. It is called from one goroutine at a time. Nil ignores them.
	Heard func(line []byte)
}

// stopPatience is how long a process may take to end after it was asked to.
const stopPatience = 20 * time.Second

// process is a running command.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	// ended is closed when it is gone and every line of it was heard.
	ended chan struct{}
}

// nursery starts processes from one system thread: Linux ties the signal that a
// parent's death sends to the thread that forked, and would send it when Go retired
// that thread.
type nursery struct {
	starts chan func()
	logs   string
}

func openNursery(logs string) *nursery {
	n := &nursery{starts: make(chan func()), logs: logs}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for start := range n.starts {
			start()
		}
	}()
	return n
}

func (n *nursery) close() { close(n.starts) }

// start starts a process, whose lines go to a file in the folder of logs, too.
func (n *nursery) start(ctx context.Context, c Command) (*process, error) {
	p := &process{name: c.Name, log: filepath.Join(n.logs, c.Name+".log"), ended: make(chan struct{})}
	file, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	// It is ended by stop or kill alone: who runs what is the run's to say.
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), c.Path, c.Args...)
	p.cmd.Dir, p.cmd.Env, p.cmd.SysProcAttr = c.Dir, c.Env, attributes()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	p.cmd.Stdout, p.cmd.Stderr = write, write
	started := make(chan error, 1)
	n.starts <- func() { started <- p.cmd.Start() }
	err = errors.Join(<-started, write.Close())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s cannot be started: %w", c.Name, err), read.Close(), file.Close())
	}
	go p.mind(read, file, c.Heard)
	return p, nil
}

// mind hears a process to its end.
func (p *process) mind(read, file *os.File, heard func([]byte)) {
	defer close(p.ended)
	lines := bufio.NewReader(io.TeeReader(read, file))
	for {
		line, err := lines.ReadBytes('\n')
		if heard != nil && len(line) > 0 {
			heard(bytes.TrimRight(line, "\r\n"))
		}
		if err != nil {
			break
		}
	}
	_ = p.cmd.Wait() // its state says how it ended
	_ = errors.Join(read.Close(), file.Close())
}

// running says whether it has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill sends SIGKILL and returns when the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended meanwhile
	<-p.ended
}

// stop asks a process to end, and makes it after a while.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(interrupt) // it may have ended meanwhile
	timer := time.NewTimer(stopPatience)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		p.kill()
	}
}

// died is the error of a process that ended though nobody ended it.
func (p *process) died() error {
	return fmt.Errorf("%s ended by itself (%s); its last words: %s", p.name, p.cmd.ProcessState, lastWords(p.log))
}

// lastWords is the end of a log file.
func lastWords(path string) string {
	const most, lines = 4096, 5
	text, err := os.ReadFile(path)
	if err != nil {
		return "none"
	}
	all := strings.Split(strings.TrimSpace(string(text[max(0, len(text)-most):])), "\n")
	return strings.Join(all[max(0, len(all)-lines):], " | ")
}

// stopAll stops processes at the same time.
func stopAll(all []*process) {
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(p.stop)
	}
	wg.Wait()
}

// said is a line of a process that somebody waits for.
type said struct {
	mu    sync.Mutex
	heard chan struct{}
	text  string
}

func newSaid() *said { return &said{heard: make(chan struct{})} }

// be records the text, once.
func (s *said) be(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.heard:
	default:
		s.text = text
		close(s.heard)
	}
}

// await returns the text. A process that ends first is an error.
func (s *said) await(ctx context.Context, p *process) (string, error) {
	const patience = time.Minute
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.heard:
		return s.text, nil
	case <-p.ended:
		return "", p.died()
	case <-timer.C:
		return "", fmt.Errorf("%s did not start within %s", p.name, patience)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// interrupt asks a process to end. It is SIGTERM's number wherever there is one.
var interrupt = os.Interrupt
