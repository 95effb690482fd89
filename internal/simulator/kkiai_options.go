package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kkiai settles what kkiai's documents leave open. What is left empty follows
// the seed: a client has to get along with every choice.
type Kkiai struct {
	// Ticket is how a file gets into the storage: "put" is what the upload
	// page says (upload_id, upload_url), "post" what the pages of the same
	// family of gateways show (id, url, fields).
	Ticket string `json:"ticket"`
	// Done is the last word of an upload: "completed" is the upload page's,
	// "complete" everybody else's.
	Done string `json:"done"`
	// Repeat is what a second upload-finish or initialize-clip comes to: "same"
	// answers as the first did, "refused" with HTTP 400. Nothing says which.
	Repeat string `json:"repeat"`
	// Mistakes is when a continuation that is well-formed and impossible (an
	// unknown clip or model, a position beyond the end) is noticed: "early" is
	// HTTP 400, free of charge; "late" is accepted, charged, and fails.
	Mistakes string `json:"mistakes"`
	// Position is what continue_at may be: "whole" seconds, which is the type
	// on the page about uploads, or any "fraction", as another page has it.
	Position string `json:"position"`
	// TaskID demands that a continuation names a task, as open-source new-api
	// does and kkiai's page does not. The id of the upload or of its clip, or
	// that of any submission of the account, will do.
	TaskID bool `json:"taskId"`
	// TicketLife is how long the storage takes the file (15 minutes). Nothing
	// says how long it really is.
	TicketLife time.Duration `json:"ticketLife"`
}

// The choices of Kkiai.
const (
	ticketPut, ticketPost       = "put", "post"
	doneComplete, doneCompleted = "complete", "completed"
	repeatSame, repeatRefused   = "same", "refused"
	mistakesEarly, mistakesLate = "early", "late"
	positionWhole, positionAny  = "whole", "fraction"
)

func (k *Kkiai) choices() []struct {
	name  string
	value *string
	among []string
} {
	return []struct {
		name  string
		value *string
		among []string
	}{
		{"Ticket", &k.Ticket, []string{ticketPut, ticketPost}},
		{"Done", &k.Done, []string{doneComplete, doneCompleted}},
		{"Repeat", &k.Repeat, []string{repeatSame, repeatRefused}},
		{"Mistakes", &k.Mistakes, []string{mistakesEarly, mistakesLate}},
		{"Position", &k.Position, []string{positionWhole, positionAny}},
	}
}

func (k Kkiai) check() error {
	var findings []error
	for _, c := range k.choices() {
		if *c.value != "" && !slices.Contains(c.among, *c.value) {
			findings = append(findings, fmt.Errorf("option Kkiai.%s is %q, want one of %s, or nothing", c.name, *c.value, strings.Join(c.among, ", ")))
		}
	}
	if k.TicketLife < 0 {
		findings = append(findings, fmt.Errorf("option Kkiai.TicketLife is %v, want 0 or more", k.TicketLife))
	}
	return errors.Join(findings...)
}

// settled fills in what was left to the seed.
func (k Kkiai) settled(d dice) Kkiai {
	k.TicketLife = cmp.Or(k.TicketLife, 15*time.Minute)
	for _, c := range k.choices() {
		*c.value = cmp.Or(*c.value, c.among[d.pick("kkiai/"+c.name, 0, len(c.among))])
	}
	return k
}
