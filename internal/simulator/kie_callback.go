package simulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// news is the body of a callback of the older route.
type news struct {
	Code int      `json:"code"`
	Msg  string   `json:"msg"`
	Data newsData `json:"data"`
}

type newsData struct {
	CallbackType string `json:"callbackType"`
	TaskID       string `json:"task_id"`
	// Data is empty for text and failures: an empty array or, by seed, null.
	Data []song `json:"data"`
}

// The kinds of callbacks; "result" is the only one of the unified route.
const (
	newsText     = "text"
	newsFirst    = "first"
	newsComplete = "complete"
	newsError    = "error"
	newsResult   = "result"
)

// announcer says how the dialect calls back. That Apikley and sunoapi.org sign
// is not documented; only KIE's page on it is.
func (d *dialect) announcer() *announcer {
	return &announcer{endpoint: d.name + ".callback", owed: d.owed, body: d.announcement, lie: d.lie, signed: d.name == "kie"}
}

// owed lists text, first and complete, or how far a failed operation got, then
// error.
func (d *dialect) owed(_ *Simulator, o *operation) []announcement {
	if o.Unified {
		return []announcement{{kind: newsResult, due: o.finish, final: true}}
	}
	var owed []announcement
	if d.hasText(o) {
		owed = append(owed, announcement{kind: newsText, due: o.reached(textShare)})
	}
	if o.Fate != succeeds {
		return append(owed, announcement{kind: newsError, due: o.finish, final: true})
	}
	return append(owed,
		announcement{kind: newsFirst, due: o.reached(firstShare)},
		announcement{kind: newsComplete, due: o.finish, final: true})
}

// announcement writes the body of a callback. The caller holds mu.
func (d *dialect) announcement(s *Simulator, o *operation, a announcement) []byte {
	if a.kind == newsResult {
		return d.jobNews(s, o)
	}
	said := news{Code: http.StatusOK, Data: newsData{CallbackType: a.kind, TaskID: o.ID, Data: d.noSongs(s)}}
	switch a.kind {
	case newsText:
		said.Msg = "Text generated successfully."
	case newsFirst:
		said.Msg, said.Data.Data = "First track generated successfully.", d.songs(s, o, a.due)[:1]
	case newsComplete:
		said.Msg, said.Data.Data = "All generated successfully.", d.songs(s, o, a.due)
	case newsError:
		why := d.failure(o)
		said.Code, said.Msg = why.code, why.message
		if !d.errors {
			said.Data.CallbackType = newsComplete
		}
	}
	return encode(said)
}

func (d *dialect) noSongs(s *Simulator) []song {
	if d.name == "sunoapi" || s.dice.pick(d.name+"/no tracks are null", 0, 2) == 0 {
		return nil
	}
	return []song{}
}

// jobNews is what recordInfo answers.
func (d *dialect) jobNews(s *Simulator, o *operation) []byte {
	said := envelope{Code: http.StatusOK, Msg: "Playground task completed successfully.", Data: d.described(s, o, s.now())}
	if o.Fate != succeeds {
		why := d.failure(o)
		said.Code, said.Msg = why.code, why.message
	}
	return encode(said)
}

// lie claims success with tracks that do not exist, or a refunded failure.
func (d *dialect) lie(s *Simulator, o *operation, number uint64) []byte {
	if o.Unified {
		return encode(envelope{Code: codeNotMade, Msg: "Failed.", Data: unifiedJob{TaskID: o.ID, Model: unifiedModel, State: "fail", FailCode: "501", FailMsg: "Failed."}})
	}
	if s.dice.pick("lie/"+d.name, number, 2) == 0 {
		said := news{Code: codeRefunded, Msg: "Your credits have been refunded.", Data: newsData{CallbackType: newsError, TaskID: o.ID}}
		return encode(said)
	}
	invented := *o
	invented.ID = derive(o.ID, "lie")
	invented.ended, invented.Fate = true, succeeds
	said := news{Code: http.StatusOK, Msg: "All generated successfully.", Data: newsData{CallbackType: newsComplete, TaskID: o.ID}}
	said.Data.Data = d.songs(s, &invented, time.Time{})
	return encode(said)
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // what is encoded is always made here
		panic("simulator: " + err.Error())
	}
	return text
}
