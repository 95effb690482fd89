// Producer is a small web shop that has every order's songs extended by Segue.
// It shows how a service gives work to Segue (orders.go) and how its tests do
// without Redis, workers and providers (orders_test.go).
//
//	go run . -redis redis://127.0.0.1:6379/0 &
//	curl -d '{"number":"1234","songs":["https://example.com/a.mp3"]}' http://127.0.0.1:8090/orders
//
// The workers of the same Redis do the rest: segue worker.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/segue-audio/segue/enqueue"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "producer:", err)
		os.Exit(1) //nolint:gocritic // stop has nothing left to stop
	}
}

// run serves until the context ends.
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("producer", flag.ContinueOnError)
	address := flags.String("redis", "redis://127.0.0.1:6379/0", "the Redis that the workers use")
	listen := flags.String("addr", "127.0.0.1:8090", "where to listen")
	provider := flags.String("provider", "sim", "a provider of the workers' configuration")
	if err := flags.Parse(args); err != nil {
		return err
	}
	client, err := enqueue.New(ctx, *address)
	if err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", *listen)
	if err != nil {
		return errors.Join(err, client.Close())
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	log.InfoContext(ctx, "listening", slog.String("addr", listener.Addr().String()))
	return errors.Join(serve(ctx, listener, newShop(client, *provider, log)), client.Close())
}

// drain is how long requests may go on after the signal.
const drain = 10 * time.Second

// serve answers requests until the context ends, and then those that are under way.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	return server.Shutdown(last)
}
