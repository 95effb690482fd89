//go:build unix

package proctest

import (
	"encoding/json"
	"testing"
)

// Status is a session as --json gives it.
type Status struct {
	SessionID string `json:"sessionId"`
	Provider  string `json:"provider"`
	Account   string `json:"account"`
	Status    string `json:"status"`
	Counts    struct {
		Total     int `json:"total"`
		Succeeded int `json:"succeeded"`
		Failed    int `json:"failed"`
		Held      int `json:"held"`
		Canceled  int `json:"canceled"`
		Waiting   int `json:"waiting"`
	} `json:"counts"`
	AudioIDs     []string `json:"audioIds"`
	CreditsSpent float64  `json:"creditsSpent"`
	Items        []Item   `json:"items"`
}

// Item is one item of a Status.
type Item struct {
	ItemID       string   `json:"itemId"`
	Index        int      `json:"index"`
	Source       string   `json:"source"`
	SHA256       string   `json:"sha256"`
	Status       string   `json:"status"`
	Step         string   `json:"step"`
	ClipID       string   `json:"clipId"`
	ClipOf       string   `json:"clipOf"`
	OperationIDs []string `json:"operationIds"`
	AudioIDs     []string `json:"audioIds"`
	Tracks       []struct {
		AudioID  string `json:"audioId"`
		AudioURL string `json:"audioUrl"`
		File     string `json:"file"`
	} `json:"tracks"`
	Credits float64 `json:"credits"`
	Error   *struct {
		Code   string `json:"code"`
		Reason string `json:"reason"`
		Charge string `json:"charge"`
	} `json:"error"`
}

// Held are the items that wait for a decision.
func (st *Status) Held() []Item {
	var held []Item
	for _, it := range st.Items {
		if it.Status == "held" {
			held = append(held, it)
		}
	}
	return held
}

// Decode reads what --json printed.
func Decode(t testing.TB, text string) *Status {
	t.Helper()
	var st Status
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		t.Fatalf("not the JSON of a session: %v\n%.500s", err, text)
	}
	return &st
}
