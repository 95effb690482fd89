package buckettest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// forward hands connections to a port of the system's choice on to a socket until
// the test ends, and returns the port's address.
func forward(t testing.TB, socket string) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{socket: socket, open: map[net.Conn]bool{}}
	f.running.Go(func() { f.accept(listener) })
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		f.closeAll()
		f.running.Wait()
	})
	return listener.Addr().String()
}

type forwarder struct {
	socket  string
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

func (f *forwarder) accept(listener net.Listener) {
	for {
		near, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		f.running.Go(func() { f.join(near) })
	}
}

// join copies both ways until both directions have ended. A server that is not up
// yet, or no longer, shows as a connection that is closed at once.
func (f *forwarder) join(near net.Conn) {
	defer func() { _ = near.Close() }()
	far, err := new(net.Dialer).DialContext(context.Background(), "unix", f.socket)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	if !f.keep(near, far) {
		return
	}
	defer f.drop(near, far)
	var back sync.WaitGroup
	back.Go(func() { pass(near, far) })
	pass(far, near)
	back.Wait()
}

// pass copies one way, and passes the end on.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from) // a broken connection is seen at both its ends
	switch to := to.(type) {
	case *net.TCPConn:
		_ = to.CloseWrite()
	case *net.UnixConn:
		_ = to.CloseWrite()
	}
}

// keep remembers connections that must end with the test, and reports false when
// it has ended.
func (f *forwarder) keep(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range conns {
		f.open[conn] = true
	}
	return !f.closed
}

func (f *forwarder) drop(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range conns {
		delete(f.open, conn)
	}
}

func (f *forwarder) closeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for conn := range f.open {
		_ = conn.Close()
	}
}
