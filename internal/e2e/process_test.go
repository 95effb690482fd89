//go:build unix

package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// grace is how long a process that is told to stop may take before it is killed.
const grace = 40 * time.Second

// process is one running command. It ends with its test at the latest.
type process struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	stdout *capture
	stderr *capture
	// ended is closed when the process is gone and all of its output is here.
	ended chan struct{}
}

// launch is how a process is started.
type launch struct {
	// name is how failures call it.
	name string
	// binary is the program under test when empty.
	binary string
	dir    string
	env    []string
	args   []string
	// group gives it a process group, as a shell gives a command: Ctrl-C reaches
	// all of the group.
	group bool
}

// start starts a process.
func start(t testing.TB, l launch) *process {
	t.Helper()
	if l.binary == "" {
		l.binary = program(t)
	}
	p := &process{t: t, name: l.name, stdout: newCapture(), stderr: newCapture(), ended: make(chan struct{})}
	p.cmd = exec.Command(l.binary, l.args...)
	p.cmd.Dir, p.cmd.Env = l.dir, l.env
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	// A child of its own that keeps the pipes open must not keep Wait.
	p.cmd.WaitDelay = 5 * time.Second
	p.cmd.SysProcAttr = attributes(l.group)
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", l.name, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the state says how it ended
	}()
	t.Cleanup(p.cleanUp)
	return p
}

// cleanUp stops the process and, when the test failed, shows what it said.
func (p *process) cleanUp() {
	p.stop()
	p.behaved()
	if p.t.Failed() {
		p.t.Logf("--- %s (pid %d, %v)\n%s%s", p.name, p.pid(), p.cmd.ProcessState, tail(p.stdout.String(), 40), tail(p.stderr.String(), 150))
	}
}

// behaved checks what holds for every process: it did not race or panic, and said
// no secret: no key anywhere (P5), and in the log no URL that opens a file.
func (p *process) behaved() {
	out, log := p.stdout.String(), p.stderr.String()
	for _, word := range []string{"WARNING: DATA RACE", "panic: ", apiKey} {
		if strings.Contains(out, word) || strings.Contains(log, word) {
			p.t.Errorf("%s (pid %d) said %q", p.name, p.pid(), word)
		}
	}
	for _, path := range []string{"/staged/", "/cdn/"} {
		if strings.Contains(log, path) {
			p.t.Errorf("%s (pid %d) logged a URL with %s", p.name, p.pid(), path)
		}
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// signal sends a signal to the process alone.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("signal %s to %s: %v", s, p.name, err)
	}
}

// interrupt is Ctrl-C at a terminal: the signal goes to the whole group.
func (p *process) interrupt() {
	p.t.Helper()
	if err := syscall.Kill(-p.pid(), syscall.SIGINT); err != nil {
		p.t.Fatalf("interrupt %s: %v", p.name, err)
	}
}

// kill ends the process as a crash would, and returns when it is gone.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// wait returns the exit code. A process that outlives the bound fails the test.
func (p *process) wait(atMost time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(atMost):
		p.t.Fatalf("%s (pid %d) did not end within %s", p.name, p.pid(), atMost)
	}
	return p.cmd.ProcessState.ExitCode()
}

// running says whether the process has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// stop ends the process gently, or else by force.
func (p *process) stop() {
	if !p.running() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
	select {
	case <-p.ended:
	case <-time.After(grace):
		p.t.Errorf("%s (pid %d) did not stop within %s of SIGTERM", p.name, p.pid(), grace)
		_ = p.cmd.Process.Kill() // likewise
		<-p.ended
	}
}

// says waits until a stream matches and gives the match's groups.
func (p *process) says(out *capture, pattern string) []string {
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
			p.t.Fatalf("%s ended (%v) before it said %q", p.name, p.cmd.ProcessState, pattern)
		case <-timeout:
			p.t.Fatalf("%s did not say %q within a minute", p.name, pattern)
		}
	}
}

// capture is what a process wrote; readers learn of each write.
type capture struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

func newCapture() *capture { return &capture{news: make(chan struct{})} }

// Write implements io.Writer.
func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.news)
	c.news = make(chan struct{})
	return c.text.Write(p)
}

// changed is closed by the next write.
func (c *capture) changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.news
}

// String is everything so far.
func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// tail is the last lines of a text.
func tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	if skipped := len(all) - lines; skipped > 0 {
		return fmt.Sprintf("… %d lines before …\n%s", skipped, strings.Join(all[skipped:], ""))
	}
	return text
}

// eventually waits until a condition holds that only asking can tell.
func eventually(t testing.TB, atMost time.Duration, what string, ok func() bool) {
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
