package enqueuetest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/enqueue/enqueuetest"
)

// Shop is the service under test: it takes a Producer, and not a Client.
type Shop struct{ producer enqueue.Producer }

// Order has one song extended.
func (s *Shop) Order(ctx context.Context, number, file string) error {
	_, err := s.producer.Submit(ctx, enqueue.Session{
		Provider: "mountsea", Key: "order-" + number,
		Items:  []enqueue.Item{{Source: file}},
		Extend: &enqueue.Extend{ContinueAt: -5},
	})
	return err
}

// The recorder takes the place of the client; the test says how sessions end.
func Example() {
	var t testing.TB = &testing.T{} // the one that a test is given
	ctx := context.Background()
	recorder := enqueuetest.New(t)
	shop := &Shop{recorder}
	if err := shop.Order(ctx, "1234", "a.mp3"); err != nil {
		t.Fatal(err)
	}

	order := recorder.OfKey("order-1234")
	fmt.Println(order.Provider, order.Items[0].Source)

	recorder.Finish(order.ID, enqueuetest.Result{Tracks: []enqueue.Track{{AudioID: "x"}}, Credits: 12})
	status, err := recorder.Wait(ctx, order.ID)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(status.Status, status.AudioIDs, status.CreditsSpent)
	// Output:
	// mountsea a.mp3
	// succeeded [x] 12
}
