package enqueue_test

import (
	"context"
	"log"
	"os"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/enqueue/internal/workertest"
)

// exampleRedis is the Redis of all examples; the first one starts it.
var exampleRedis struct {
	sync.Once
	*miniredis.Miniredis
	clients []*enqueue.Client
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, client := range exampleRedis.clients {
		if err := client.Close(); err != nil {
			log.Fatal(err)
		}
	}
	if exampleRedis.Miniredis != nil {
		exampleRedis.Close()
	}
	os.Exit(code)
}

// connect connects an example to its Redis until all are over.
func connect(ctx context.Context) *enqueue.Client {
	exampleRedis.Do(func() {
		var err error
		if exampleRedis.Miniredis, err = miniredis.Run(); err != nil {
			log.Fatal(err)
		}
	})
	client, err := enqueue.New(ctx, "redis://"+exampleRedis.Addr()+"/0")
	if err != nil {
		log.Fatal(err)
	}
	exampleRedis.clients = append(exampleRedis.clients, client)
	return client
}

// workOn does what workers do with the session of ExampleClient_Wait.
func workOn(id string) {
	rdb := redis.NewClient(&redis.Options{Addr: exampleRedis.Addr()})
	defer rdb.Close()
	worker := workertest.New(example{}, rdb)
	worker.Upload(id, 0, "clip-a", 0)
	worker.Fail(id, 1, "rejected", "it matches a protected recording", "not charged")
}

// example stands for the testing.TB that an example does not have.
type example struct{}

func (example) Context() context.Context { return context.Background() }
func (example) Fatal(args ...any)        { log.Fatal(args...) }
func (example) Helper()                  {}
