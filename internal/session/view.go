package session

import "context"

// View is a session as users see it: the object that the command line prints with
// --json, that the HTTP API answers with, and that lies beside archived results.
type View struct {
	SessionID    string     `json:"sessionId"`
	Name         string     `json:"name"`
	Provider     string     `json:"provider"`
	Account      string     `json:"account"`
	Status       Status     `json:"status"`
	Counts       Tally      `json:"counts"`
	AudioIDs     []string   `json:"audioIds"`
	CreditsSpent float64    `json:"creditsSpent"`
	Items        []ItemView `json:"items"`
	// Committed is what budgets count: what was spent, and what may have been.
	Committed float64 `json:"-"`
}

// ItemView is one item of a View.
type ItemView struct {
	ItemID          string   `json:"itemId"`
	Index           int      `json:"index"`
	Source          string   `json:"source"`
	SHA256          string   `json:"sha256"`
	DurationSeconds float64  `json:"durationSeconds"`
	Status          State    `json:"status"`
	Step            StepName `json:"step"`
	ClipID          string   `json:"clipId"`
	// ClipOf is the item whose upload was used, where that is another one.
	ClipOf         string       `json:"clipOf,omitempty"`
	OperationIDs   []string     `json:"operationIds"`
	AudioIDs       []string     `json:"audioIds"`
	Tracks         []TrackView  `json:"tracks"`
	Credits        float64      `json:"credits"`
	CreditsInDoubt float64      `json:"creditsInDoubt,omitempty"`
	Error          *FailureView `json:"error"`
}

// TrackView is one result of an ItemView.
type TrackView struct {
	AudioID         string  `json:"audioId"`
	AudioURL        string  `json:"audioUrl"`
	DurationSeconds float64 `json:"durationSeconds"`
	Title           string  `json:"title"`
	File            string  `json:"file"`
}

// FailureView says why an item failed, is held, or waits.
type FailureView struct {
	Code   string `json:"code"`
	Step   string `json:"step"`
	Reason string `json:"reason"`
	Charge string `json:"charge,omitempty"`
}

// View reads everything about a session. audioIds are those of succeeded items,
// in input order.
func (s *Store) View(ctx context.Context, id string) (*View, error) {
	session, err := s.Session(ctx, id)
	if err != nil {
		return nil, err
	}
	view := session.View()
	err = s.Each(ctx, id, 0, 0, func(it *Item) error {
		item := it.View()
		view.Items = append(view.Items, item)
		view.AudioIDs = append(view.AudioIDs, item.AudioIDs...)
		view.CreditsSpent += item.Credits
		view.Committed += it.Committed()
		return nil
	})
	return view, err
}

// View is the session without its items.
func (s *Session) View() *View {
	return &View{
		SessionID: s.ID, Name: s.Name, Provider: s.Provider, Account: s.Account,
		Status: s.Status(), Counts: s.Tally(), AudioIDs: []string{}, Items: []ItemView{},
	}
}

// View is the item as users see it.
func (it *Item) View() ItemView {
	view := ItemView{
		ItemID: it.ID(), Index: it.Index, Source: it.Source.Name, SHA256: it.Source.SHA256,
		DurationSeconds: it.Source.Duration, Status: it.State, Step: it.Step,
		OperationIDs: []string{}, AudioIDs: it.AudioIDs(), Tracks: []TrackView{}, Credits: it.Credits(),
	}
	if view.AudioIDs == nil {
		view.AudioIDs = []string{}
	}
	if it.State.InDoubt() {
		view.CreditsInDoubt = it.Claim.Credits
	}
	if it.Clip != nil {
		view.ClipID, view.ClipOf = it.Clip.ID, it.ClipOf
	}
	for _, op := range it.Operations {
		if op.ID != "" {
			view.OperationIDs = append(view.OperationIDs, op.ID)
		}
	}
	for _, t := range it.Tracks {
		view.Tracks = append(view.Tracks, TrackView{t.AudioID, t.AudioURL, t.DurationSeconds, t.Title, t.File})
	}
	if f := it.Failure; f != nil {
		view.Error = &FailureView{string(f.Code), string(f.Step), f.Reason, f.Charge}
	}
	return view
}
