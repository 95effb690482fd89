//go:build unix

package proctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// grace is how long a process that is told to stop may take before it is killed.
const grace = 40 * time.Second

// Process is one running command. It ends with its test at the latest.
type Process struct {
	// Name is how failures call it.
	Name string
	// Stdout and Stderr are what it has written so far.
	Stdout *Capture
	Stderr *Capture

	t   testing.TB
	cmd *exec.Cmd
	// ended is closed when the process is gone and all of its output is here.
	ended chan struct{}
}

// Launch is how a process is started.
type Launch struct {
	// Name is how failures call it.
	Name string
	// Binary is the program, Dir where it runs. Env is all of its environment.
	Binary string
	Dir    string
	Env    []string
	Args   []string
	// Group gives it a process group, as a shell gives a command: Ctrl-C reaches
	// all of the group.
	Group bool
}

// Start starts a process.
func Start(t testing.TB, l Launch) *Process {
	t.Helper()
	p := &Process{t: t, Name: l.Name, Stdout: newCapture(), Stderr: newCapture(), ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), l.Binary, l.Args...) // cleanUp ends it: gently first
	p.cmd.Dir, p.cmd.Env = l.Dir, l.Env
	p.cmd.Stdout, p.cmd.Stderr = p.Stdout, p.Stderr
	// A child of its own that keeps the pipes open must not keep Wait.
	p.cmd.WaitDelay = 5 * time.Second
	p.cmd.SysProcAttr = attributes(l.Group)
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", l.Name, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the state says how it ended
	}()
	t.Cleanup(p.cleanUp)
	return p
}

// cleanUp stops the process and, when the test failed, shows what it said.
func (p *Process) cleanUp() {
	p.Stop()
	p.behaved()
	if p.t.Failed() {
		p.t.Logf("--- %s (pid %d, %v)\n%s%s", p.Name, p.PID(), p.cmd.ProcessState, Tail(p.Stdout.String(), 40), Tail(p.Stderr.String(), 150))
	}
}

// behaved checks what holds for every process: it did not race or panic, and said
// no secret: no key anywhere (P5), and in the log no URL that opens a file.
func (p *Process) behaved() {
	out, log := p.Stdout.String(), p.Stderr.String()
	for _, word := range []string{"WARNING: DATA RACE", "panic: ", APIKey} {
		if strings.Contains(out, word) || strings.Contains(log, word) {
			p.t.Errorf("%s (pid %d) said %q", p.Name, p.PID(), word)
		}
	}
	for _, path := range []string{"/staged/", "/cdn/"} {
		if strings.Contains(log, path) {
			p.t.Errorf("%s (pid %d) logged a URL with %s", p.Name, p.PID(), path)
		}
	}
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process alone.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("signal %s to %s: %v", s, p.Name, err)
	}
}

// Interrupt is Ctrl-C at a terminal: the signal goes to the whole group.
func (p *Process) Interrupt() {
	p.t.Helper()
	if err := syscall.Kill(-p.PID(), syscall.SIGINT); err != nil {
		p.t.Fatalf("interrupt %s: %v", p.Name, err)
	}
}

// Kill ends the process as a crash would, and returns when it is gone.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	<-p.ended
}

// Wait returns the exit code. A process that outlives the bound fails the test.
func (p *Process) Wait(atMost time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(atMost):
		p.t.Fatalf("%s (pid %d) did not end within %s", p.Name, p.PID(), atMost)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Peak is the most memory, in bytes, that a process which has ended ever had; 0 where
// the system does not say.
func (p *Process) Peak() int64 {
	used, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok || runtime.GOOS != "linux" {
		return 0 // elsewhere the unit is another
	}
	return used.Maxrss << 10
}

// Running says whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Stop ends the process gently, or else by force.
func (p *Process) Stop() {
	if !p.Running() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
	select {
	case <-p.ended:
	case <-time.After(grace):
		p.t.Errorf("%s (pid %d) did not stop within %s of SIGTERM", p.Name, p.PID(), grace)
		_ = p.cmd.Process.Kill() // likewise
		<-p.ended
	}
}

// Says waits until a stream matches and gives the match's groups.
func (p *Process) Says(out *Capture, pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(time.Minute)
	for {
		changed := out.changed()
		if found := re.FindStringSubmatch(out.String()); found != nil {
			return found
		}
		select {
		case <-changed:
		case <-p.ended:
			if found := re.FindStringSubmatch(out.String()); found != nil {
				return found
			}
			p.t.Fatalf("%s ended (%v) before it said %q", p.Name, p.cmd.ProcessState, pattern)
		case <-timeout:
			p.t.Fatalf("%s did not say %q within a minute", p.Name, pattern)
		}
	}
}

// Capture is what a process wrote; readers learn of each write.
type Capture struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

func newCapture() *Capture { return &Capture{news: make(chan struct{})} }

// Write implements io.Writer.
func (c *Capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.news)
	c.news = make(chan struct{})
	return c.text.Write(p)
}

// changed is closed by the next write.
func (c *Capture) changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.news
}

// String is everything so far.
func (c *Capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// Tail is the last lines of a text.
func Tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	if skipped := len(all) - lines; skipped > 0 {
		return fmt.Sprintf("… %d lines before …\n%s", skipped, strings.Join(all[skipped:], ""))
	}
	return text
}

// Eventually waits until a condition holds that only asking can tell.
func Eventually(t testing.TB, atMost time.Duration, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	timeout := time.After(atMost)
	for !ok() {
		select {
		case <-again.C:
		case <-timeout:
			t.Fatalf("not within %s: %s", atMost, what)
		}
	}
}
