package handlers_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/tasks"
)

// TestBulkRun: a firing that is over is not tried again, anything else that fails is.
func TestBulkRun(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name         string
		err          error
		fails, tries bool
	}{
		{"a firing that became a session", nil, false, false},
		{"a firing that is over", fault.New(fault.Conflict, "x", errors.New("x")), true, false},
		{"a firing that nobody knows", fault.New(fault.NotFound, "x", errors.New("x")), true, false},
		{"a bucket that is away", fault.New(fault.Unavailable, "x", errors.New("x")), true, true},
		{"a worker that stops", context.Canceled, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked []tasks.Run
			r.h.Bulk = func(_ context.Context, firing tasks.Run) error {
				asked = append(asked, firing)
				return c.err
			}
			task, err := tasks.BulkRun.New(tasks.Run{V: 1, Schedule: "nightly", Fire: "1795341600"})
			if err != nil {
				t.Fatal(err)
			}
			got := r.h.Mux().ProcessTask(t.Context(), asynq.NewTask(task.Type, task.Payload))
			if (got != nil) != c.fails || c.fails && !errors.Is(got, asynq.SkipRetry) != c.tries {
				t.Errorf("the queue is told %v, want a failure %t, tried again %t", got, c.fails, c.tries)
			}
			if diff := cmp.Diff([]tasks.Run{{V: 1, Schedule: "nightly", Fire: "1795341600"}}, asked); diff != "" {
				t.Errorf("firings (-want +got):\n%s", diff)
			}
		})
	}
}
