package enqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/segue-audio/segue/enqueue"
)

// Submitting twice with one key is one session, so an order that is handled
// twice is paid for once.
func ExampleClient_Submit() {
	ctx := context.Background()
	client := connect(ctx) // by enqueue.New

	order := enqueue.Session{
		Provider: "mountsea",
		Items: []enqueue.Item{
			{Source: "https://example.com/a.mp3"},
			{Source: "/music/b.wav"},
		},
		Extend: &enqueue.Extend{Model: "chirp-v50", ContinueAt: 60},
		Key:    "order-1234",
	}
	first, err := client.Submit(ctx, order)
	if err != nil {
		log.Fatal(err)
	}
	again, err := client.Submit(ctx, order)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("items:", len(first.Items))
	fmt.Println("one session:", first.SessionID == again.SessionID, again.Existed)
	// Output:
	// items: 2
	// one session: true true
}

// Everything that is wrong is said at once, and nothing was sent.
func ExampleInvalidError() {
	ctx := context.Background()
	client := connect(ctx) // by enqueue.New

	_, err := client.Submit(ctx, enqueue.Session{
		Items:  []enqueue.Item{{Source: "ftp://example.com/a.mp3"}, {}},
		Extend: &enqueue.Extend{Model: "chirp-v50"},
	})
	if invalid, ok := errors.AsType[*enqueue.InvalidError](err); ok {
		for _, finding := range invalid.Findings {
			fmt.Println(finding)
		}
	}
	// Output:
	// no provider is named
	// the session: continue-at is 0; it is a number of seconds from the beginning, or negative from the end
	// item 0: source has scheme "ftp"; it is a path, http, https or s3
	// item 1: no source
}

// An open session takes items as they come. Items with keys can be added again
// after a failure.
func ExampleClient_Add() {
	ctx := context.Background()
	client := connect(ctx) // by enqueue.New

	session, err := client.Submit(ctx, enqueue.Session{Provider: "kie", Name: "uploads of the day", Open: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range []string{"/in/a.mp3", "/in/b.mp3", "/in/a.mp3"} {
		answers, err := client.Add(ctx, session.SessionID, enqueue.Item{Source: file, Key: file})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(file, "is item", answers[0].Index, "there before:", answers[0].Existed)
	}
	if err := client.Seal(ctx, session.SessionID); err != nil {
		log.Fatal(err)
	}
	_, err = client.Add(ctx, session.SessionID, enqueue.Item{Source: "/in/c.mp3"})
	fmt.Println("after Seal:", errors.Is(err, enqueue.ErrConflict))
	// Output:
	// /in/a.mp3 is item 0 there before: false
	// /in/b.mp3 is item 1 there before: false
	// /in/a.mp3 is item 0 there before: true
	// after Seal: true
}

// Wait returns when nothing moves by itself any more. That is not always success.
func ExampleClient_Wait() {
	ctx := context.Background()
	client := connect(ctx) // by enqueue.New

	session, err := client.Submit(ctx, enqueue.Session{
		Provider: "mountsea",
		Items:    []enqueue.Item{{Source: "/music/a.mp3"}, {Source: "/music/b.mp3"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	go workOn(session.SessionID) // segue worker

	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	status, err := client.Wait(ctx, session.SessionID)
	if err != nil {
		fmt.Println(err) // when the hour is over, the session goes on without us
		return
	}
	fmt.Println(status.Status, status.AudioIDs)
	for _, item := range status.Items {
		if item.Error != nil {
			fmt.Printf("%s %s: %s (%s)\n", item.Source, item.Status, item.Error.Reason, item.Error.Charge)
		}
	}
	// Output:
	// partial [clip-a]
	// /music/b.mp3 failed: it matches a protected recording (not charged)
}

// Cancel ends what waits at once, however much it is.
func ExampleClient_Cancel() {
	ctx := context.Background()
	client := connect(ctx) // by enqueue.New

	items := make([]enqueue.Item, 100)
	for n := range items {
		items[n].Source = fmt.Sprintf("/music/%d.mp3", n)
	}
	session, err := client.Submit(ctx, enqueue.Session{Provider: "kie", Items: items})
	if err != nil {
		log.Fatal(err)
	}
	status, err := client.Cancel(ctx, session.SessionID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.Status, status.Counts.Canceled)
	// Output: canceled 100
}
