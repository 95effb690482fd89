package simulator

import (
	"fmt"
	"time"
)

// upload is one audio file on its way through kkiai's free steps. What is
// exported is written to the journal when it begins; the rest follows from
// uploadSteps.
type upload struct {
	ID        string    `json:"id"`
	Account   string    `json:"account"`
	Upstream  int       `json:"upstream"`
	Extension string    `json:"extension"`
	Ticket    string    `json:"ticket"`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires"`

	stored      *parcel
	finish      *finish
	finished    time.Time
	found       *found
	ends        time.Time // valid once found is known
	initialized bool
	lastPoll    time.Time
}

// uploadStep is something that happened to an upload. Exactly one of the fields
// beside the id is set.
type uploadStep struct {
	Upload string `json:"upload"`
	// Stored: the file came whole into the storage.
	Stored *parcel `json:"stored,omitempty"`
	// Finish: the client reported that.
	Finish *finish `json:"finish,omitempty"`
	// Found: the provider looked at the file.
	Found *found `json:"found,omitempty"`
	// Initialized: the clip was made.
	Initialized bool `json:"initialized,omitempty"`
}

type finish struct {
	Filename string        `json:"filename"`
	Took     time.Duration `json:"took"`
	// Reason is why it will fail, whatever the file is.
	Reason string `json:"reason,omitempty"`
}

type found struct {
	Length time.Duration `json:"length"`
	// Reason is why the file cannot be used.
	Reason string `json:"reason,omitempty"`
}

// clip names the clip that initialize-clip makes.
func (u *upload) clip() string { return derive(u.ID, "clip/0") }

// key is the name of the file in the storage.
func (u *upload) key() string { return "raw_uploads/" + u.ID + "." + u.Extension }

// failure says why an upload comes to nothing; "" when it does not.
func (u *upload) failure() string {
	switch {
	case u.found != nil && u.found.Reason != "":
		return u.found.Reason
	case u.finish != nil:
		return u.finish.Reason
	}
	return ""
}

// ended says whether the provider is done with the file.
func (u *upload) ended(now time.Time) bool { return u.found != nil && !now.Before(u.ends) }

// kkiaiUploadStages are the words of several clients' observations; the upload
// page knows only the last, which Options settles.
var kkiaiUploadStages = []stageUntil{{"processing", 0.6}, {"passed_audio_processing", 0.85}, {"passed_artist_moderation", 1}}

// status gives the word for what an upload is doing. Before upload-finish it is
// "processing" too: the documents have no other word for it, so that word does
// not tell whether a report arrived.
func (u *upload) status(now time.Time, done string) string {
	if u.found == nil {
		return kkiaiUploadStages[0].word
	}
	if u.ended(now) {
		if u.failure() != "" {
			return "error"
		}
		return done
	}
	share := float64(now.Sub(u.finished)) / float64(max(u.ends.Sub(u.finished), 1))
	at := 0
	for at < len(kkiaiUploadStages)-1 && share >= kkiaiUploadStages[at].end && u.failure() == "" {
		at++
	}
	return kkiaiUploadStages[at].word
}

// step applies an uploadStep.
func (st *state) step(e *uploadStep, at time.Time) error {
	u := st.uploads[e.Upload]
	switch {
	case u == nil, e.Found != nil && u.finish == nil:
		return fmt.Errorf("step of upload %s, which is not that far", e.Upload)
	case e.Stored != nil:
		u.stored = e.Stored
	case e.Finish != nil:
		u.finish, u.finished = e.Finish, at
	case e.Found != nil:
		u.found, u.ends = e.Found, u.finished.Add(u.finish.Took)
		if u.ends.Before(at) {
			u.ends = at
		}
	case e.Initialized:
		u.initialized = true
		st.uploaded[u.clip()] = u
	}
	return nil
}
