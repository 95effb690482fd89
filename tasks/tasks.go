// Package tasks declares every task that Segue puts on a queue: its wire name,
// its payload and its queue policy, bound together so that a producer and a
// worker cannot disagree.
//
// A task is a wake-up call. It carries ids and nothing else: the truth is in the
// session's state, so a task may be delivered twice, late, or not at all, and
// nothing but time is lost. Payloads stay under 1 KB and never hold a key, a
// signed URL or lyrics, since asynqmon shows them raw. Fields are only ever
// added: testdata holds an example of every version ever written.
//
// The package uses the standard library alone, so that anything may import it.
package tasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The queues. Each has its own pool of goroutines in a worker, so that a
// 500 MB transfer never stands in front of a poll.
const (
	QueueControl = "control"
	QueueUpload  = "upload"
	QueueExtend  = "extend"
	QueuePoll    = "poll"
	QueueFetch   = "fetch"
)

// Queues lists every queue.
func Queues() []string {
	return []string{QueueControl, QueueUpload, QueueExtend, QueuePoll, QueueFetch}
}

// Policy is how the queue treats a type of task.
type Policy struct {
	// Queue is the queue it travels on.
	Queue string
	// MaxRetry is how many failed attempts the queue allows. Waiting is no attempt.
	// It is large everywhere: Segue's own state decides when to give up, and a
	// task that the queue archives first would only have to be found again.
	MaxRetry int
	// Timeout bounds one attempt; a handler's context ends with it.
	Timeout time.Duration
	// Retention is how long a completed task stays visible. While it does, a
	// second enqueue of its id is refused.
	Retention time.Duration
}

// Payload is what a task carries.
type Payload interface {
	// TaskID is the id of the one task of the named type that carries this
	// payload: enqueueing it twice is a conflict, and a conflict is success.
	TaskID(typeName string) string
	// Check says what is wrong with a decoded payload.
	Check() error
}

// Type binds a wire name, a payload and a policy.
type Type[P Payload] struct {
	Name   string
	Policy Policy
}

// Task is one task, ready for a queue.
type Task struct {
	Type    string
	ID      string
	Payload []byte
	Policy  Policy
}

// maxPayload is the largest payload a task may carry, in bytes.
const maxPayload = 1024

// New makes a task of the type. A payload that fails its check or is larger
// than 1 KB is a defect of the caller and an error.
func (t Type[P]) New(p P) (Task, error) {
	if err := p.Check(); err != nil {
		return Task{}, fmt.Errorf("%s: %w", t.Name, err)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return Task{}, fmt.Errorf("%s: %w", t.Name, err)
	}
	if len(body) > maxPayload {
		return Task{}, fmt.Errorf("%s: payload of %d bytes, at most %d", t.Name, len(body), maxPayload)
	}
	return Task{Type: t.Name, ID: p.TaskID(t.Name), Payload: body, Policy: t.Policy}, nil
}

// Decode reads a payload of the type. Unknown fields are ignored: a newer
// producer may have added some.
func (t Type[P]) Decode(body []byte) (P, error) {
	var p P
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&p); err != nil {
		return p, fmt.Errorf("%s: payload: %w", t.Name, err)
	}
	if err := p.Check(); err != nil {
		return p, fmt.Errorf("%s: payload: %w", t.Name, err)
	}
	return p, nil
}

// Version is the payload version that this code writes.
const Version = 1

// Step names one step of one item: what the four step types carry.
type Step struct {
	V       int    `json:"v"`
	Session string `json:"session"`
	Index   int    `json:"index"`
	// Name is the step: upload, extend or fetch.
	Name string `json:"step"`
	// Generation counts an operator's re-runs of the step.
	Generation int `json:"generation"`
	// Rescue counts the times the sweep replaced this step's task. A task whose
	// counter is behind the state's is stale and does nothing.
	Rescue int `json:"rescue,omitempty"`
}

// TaskID is <type>:<item>:<step>:<generation>, with :r<n> when rescued.
func (s Step) TaskID(typeName string) string {
	id := fmt.Sprintf("%s:%s.%d:%s:%d", typeName, s.Session, s.Index, s.Name, s.Generation)
	if s.Rescue > 0 {
		id += fmt.Sprintf(":r%d", s.Rescue)
	}
	return id
}

// Check demands a known version, a session, and a step.
func (s Step) Check() error {
	switch {
	case s.V < 1:
		return errors.New("no version")
	case s.Session == "":
		return errors.New("no session")
	case s.Index < 0:
		return fmt.Errorf("index %d", s.Index)
	case s.Name == "":
		return errors.New("no step")
	}
	return nil
}

// All lists every type by name with its policy, for wiring and for tests.
func All() map[string]Policy {
	return map[string]Policy{
		AudioUpload.Name:    AudioUpload.Policy,
		AudioExtend.Name:    AudioExtend.Policy,
		AudioPoll.Name:      AudioPoll.Policy,
		AudioReconcile.Name: AudioReconcile.Policy,
		AudioFetch.Name:     AudioFetch.Policy,
		BulkRun.Name:        BulkRun.Policy,
		SessionAdmit.Name:   SessionAdmit.Policy,
		SessionSettle.Name:  SessionSettle.Policy,
		KeeperSweep.Name:    KeeperSweep.Policy,
	}
}
