package handlers

import (
	"context"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/tasks"
)

// Run executes bulk:run: it makes a session of one firing of a schedule. Which files
// those are, and what is to be done with them, only the configuration and the
// schedules say, which handlers do not read: Bulk does. A firing that is over, or that
// nobody knows any more, needs nothing; whatever else fails is tried again.
func (h *Handlers) Run(ctx context.Context, p tasks.Run) error {
	err := h.Bulk(ctx, p)
	if code := fault.CodeOf(err); code == fault.NotFound || code == fault.Conflict {
		return final(err)
	}
	return err
}
