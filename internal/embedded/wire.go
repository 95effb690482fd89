package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// ask sends one inline command over a connection of its own and returns the
// answer: a line with its type mark, or a bulk string's content. A client
// library would bring a pool that retries and logs while a server is starting,
// which is when this is needed.
func ask(ctx context.Context, socket, command string, patience time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // nothing is left to be flushed
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return "", err
	}
	return readAnswer(bufio.NewReader(conn))
}

func readAnswer(from *bufio.Reader) (string, error) {
	line, err := from.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	length, bulk := strings.CutPrefix(line, "$")
	if !bulk {
		return line, nil
	}
	size, err := strconv.ParseUint(length, 10, 20)
	if err != nil {
		return "", err
	}
	text := make([]byte, size)
	_, err = io.ReadFull(from, text)
	return string(text), err
}

// shutdown asks the server at socket to end. It does not wait for the end.
func shutdown(ctx context.Context, socket string, patience time.Duration) error {
	// NOSAVE concerns dump files, which we do not use; the append-only file is
	// flushed all the same.
	answer, err := ask(ctx, socket, "SHUTDOWN NOSAVE", patience)
	if errors.Is(err, io.EOF) {
		return nil // a server that obeys has nothing to say
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("the server answered %q", answer)
}

// serverVersion reads the version from what INFO server says.
func serverVersion(info string) string {
	for line := range strings.Lines(info) {
		if v, found := strings.CutPrefix(strings.TrimSpace(line), "redis_version:"); found {
			return v
		}
	}
	return "unknown"
}
