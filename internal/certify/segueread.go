package certify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/segue-audio/segue/internal/session"
)

// Sessions reads every session, and the report that was written when it was settled.
func (s *Segue) Sessions(ctx context.Context) ([]Session, error) {
	s.mu.Lock()
	ids := slices.Clone(s.all)
	s.mu.Unlock()
	sessions := make([]Session, 0, len(ids))
	for _, id := range ids {
		one, err := s.session(ctx, id)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, one)
	}
	return sessions, nil
}

func (s *Segue) session(ctx context.Context, id string) (Session, error) {
	current, err := s.store.Session(ctx, id)
	if err != nil {
		return Session{}, err
	}
	status, err := s.client.Status(ctx, id)
	if err != nil {
		return Session{}, err
	}
	told, err := s.told(id)
	if err != nil {
		return Session{}, err
	}
	s.mu.Lock()
	effects := slices.Clone(s.settled[id])
	s.mu.Unlock()
	paid, err := s.paidOperations(ctx, id)
	if err != nil {
		return Session{}, err
	}
	out := Session{ID: id, AudioIDs: status.AudioIDs, Settled: max(current.Completions, current.Settled), Effects: effects, Told: told, Spent: &status.CreditsSpent}
	for _, it := range status.Items {
		item := Item{ID: it.ItemID, State: it.Status, Step: it.Step, Operations: paid[it.Index]}
		if it.ClipID != "" {
			item.Clips = []string{it.ClipID}
		}
		if it.Error != nil {
			item.Reason = it.Error.Reason
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

// paidOperations are the operations of paid steps on record, by item: an upload that
// costs nothing has operations that no charge log knows.
func (s *Segue) paidOperations(ctx context.Context, id string) (map[int][]string, error) {
	paid := map[int][]string{}
	err := s.store.Each(ctx, id, 0, 0, func(it *session.Item) error {
		for _, op := range it.Operations {
			if s.rig.vendor.paid[string(op.Step)] != "" && op.ID != "" {
				paid[it.Index] = append(paid[it.Index], op.ID)
			}
		}
		return nil
	})
	return paid, err
}

// told are the audioIds of the report beside the archived results, which is written
// when a session is settled; nil when there is none.
func (s *Segue) told(id string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(s.rig.Options.Dir, "archive", id, "session.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var report struct {
		AudioIDs []string `json:"audioIds"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("session.json of %s: %w", id, err)
	}
	return append([]string{}, report.AudioIDs...), nil
}
