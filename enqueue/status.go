package enqueue

import (
	"context"

	"github.com/segue-audio/segue/internal/session"
)

// Status is a session as it stands. Its JSON is the one that segue status --json
// prints and that the HTTP API answers with.
type Status struct {
	SessionID string `json:"sessionId"`
	Name      string `json:"name"`
	Provider  string `json:"provider"`
	Account   string `json:"account"`
	// Status is open, running, succeeded, partial, failed, held or canceled.
	Status string `json:"status"`
	Counts Counts `json:"counts"`
	// AudioIDs are those of the items that have succeeded, in input order: an
	// item's tracks when it was extended, its clip when it was only uploaded.
	AudioIDs []string `json:"audioIds"`
	// CreditsSpent is in the provider's credits.
	CreditsSpent float64 `json:"creditsSpent"`
	// Items are in input order. Progress leaves them out, and what is summed over
	// them: AudioIDs and CreditsSpent.
	Items []ItemStatus `json:"items"`
}

// Counts is the number of items by outcome. Waiting is what has not ended yet.
type Counts struct {
	Total     int `json:"total"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Held      int `json:"held"`
	Canceled  int `json:"canceled"`
	Waiting   int `json:"waiting"`
}

// ItemStatus is one item as it stands.
type ItemStatus struct {
	ItemID          string  `json:"itemId"`
	Index           int     `json:"index"`
	Source          string  `json:"source"`
	SHA256          string  `json:"sha256"`
	DurationSeconds float64 `json:"durationSeconds"`
	// Status is queued, sending, running, waiting, reconciling, held, succeeded, failed
	// or canceled.
	Status string `json:"status"`
	// Step is upload, extend or fetch: where it is, or ended.
	Step   string `json:"step"`
	ClipID string `json:"clipId"`
	// ClipOf is the item whose upload was used instead of another one.
	ClipOf       string   `json:"clipOf,omitempty"`
	OperationIDs []string `json:"operationIds"`
	AudioIDs     []string `json:"audioIds"`
	Tracks       []Track  `json:"tracks"`
	Credits      float64  `json:"credits"`
	// CreditsInDoubt is what a request without an answer may have cost, while it is
	// reconciling or held.
	CreditsInDoubt float64 `json:"creditsInDoubt,omitempty"`
	// Error is why it failed, is held, or waits longer than usual; nil otherwise.
	Error *ItemError `json:"error"`
}

// Track is one finished result.
type Track struct {
	AudioID         string  `json:"audioId"`
	AudioURL        string  `json:"audioUrl"`
	DurationSeconds float64 `json:"durationSeconds"`
	Title           string  `json:"title"`
	// File is where it is archived.
	File string `json:"file"`
}

// ItemError says what went wrong with an item.
type ItemError struct {
	// Code is one of invalid, denied, not_found, rejected, conflict, exhausted,
	// unavailable, timeout, malformed, canceled, internal.
	Code   string `json:"code"`
	Step   string `json:"step"`
	Reason string `json:"reason"`
	// Charge is "charged", "not charged" or "unknown".
	Charge string `json:"charge,omitempty"`
}

// Over says that nothing of the session moves by itself any more.
func (s *Status) Over() bool { return session.Status(s.Status).Over() }

// Status reads a session with all its items.
func (c *Client) Status(ctx context.Context, id string) (*Status, error) {
	view, err := c.store.View(ctx, id)
	if err != nil {
		return nil, translate(err)
	}
	return statusOf(view), nil
}

// Progress reads a session without its items: it costs the same for ten items and
// for a million.
func (c *Client) Progress(ctx context.Context, id string) (*Status, error) {
	current, err := c.store.Session(ctx, id)
	if err != nil {
		return nil, translate(err)
	}
	return statusOf(current.View()), nil
}

func statusOf(v *session.View) *Status {
	s := &Status{
		SessionID: v.SessionID, Name: v.Name, Provider: v.Provider, Account: v.Account,
		Status: string(v.Status), Counts: Counts(v.Counts), AudioIDs: v.AudioIDs,
		CreditsSpent: v.CreditsSpent, Items: make([]ItemStatus, len(v.Items)),
	}
	for n, it := range v.Items {
		s.Items[n] = ItemStatus{
			ItemID: it.ItemID, Index: it.Index, Source: it.Source, SHA256: it.SHA256,
			DurationSeconds: it.DurationSeconds, Status: string(it.Status), Step: string(it.Step),
			ClipID: it.ClipID, ClipOf: it.ClipOf, OperationIDs: it.OperationIDs, AudioIDs: it.AudioIDs,
			Tracks: make([]Track, len(it.Tracks)), Credits: it.Credits, CreditsInDoubt: it.CreditsInDoubt, Error: (*ItemError)(it.Error),
		}
		for t, track := range it.Tracks {
			s.Items[n].Tracks[t] = Track(track)
		}
	}
	return s
}
