package doctor

import (
	"fmt"
	"strings"
)

// named is how many sessions a finding names; the rest is counted.
const named = 3

// report says what the survey found.
func (f *surveyed) report(c *chart) {
	f.whole(c)
	f.undone(c)
	f.aged(c)
}

// whole says whether the state is all there.
func (f *surveyed) whole(c *chart) {
	const cure = "restore redis from a backup (docs/operations.md, Backups), or compare with the provider's list of charges and submit anew what was not paid"
	for n, t := range f.torn {
		if n == named {
			c.add(Error, "sessions.state", cure, "%s more have lost a part of their state", count(len(f.torn)-n, "session"))
			break
		}
		c.add(Error, "sessions.state", cure, "session %s has lost a part of its state: %s", t.id, t.what)
	}
	if n := len(f.absent); n > 0 {
		c.add(Warning, "sessions.state", "submit them again with the same key (the same command); where redis may have lost them, look at the provider's list of charges before",
			"%s listed and nothing else of them is there (%s): their submission was cut off before anything was sent, or redis has lost them", are(n), some(f.absent))
	}
	if f.read == 0 {
		c.ok("sessions.state", "there are no sessions")
		return
	}
	if len(f.torn) == 0 && len(f.absent) == 0 {
		c.ok("sessions.state", "%s looked at, and each has all its parts", count(f.read, "session"))
	}
}

// undone says what waits for evidence or for a person.
func (f *surveyed) undone(c *chart) {
	for n, h := range f.held {
		if n == named {
			c.add(Warning, "sessions.held", "segue sessions shows them", "%s more have held items", count(len(f.held)-n, "session"))
			break
		}
		c.add(Warning, "sessions.held", "segue items "+h.id+" --status held, then segue resolve for each",
			"%s of %s held: nobody knows whether they were paid for", count(h.n, "item"), h.id)
	}
	if len(f.held) == 0 {
		c.ok("sessions.held", "no item is held")
	}
	total, ids := 0, make([]string, 0, len(f.undecided))
	for _, u := range f.undecided {
		total, ids = total+u.n, append(ids, u.id)
	}
	if total > 0 {
		c.add(Note, "sessions.reconciling", "", "%s (%s): the provider's records are asked whether a request was accepted; it decides itself", count(total, "item"), some(ids))
	}
}

// aged says what has been on its way for long.
func (f *surveyed) aged(c *chart) {
	if n := len(f.unsealed); n > 0 {
		c.add(Warning, "sessions.old", "its producer must call Seal, or segue cancel "+f.unsealed[0],
			"%s been open for more than a day: more items may come, so it never ends (%s)", have(n), some(f.unsealed))
	}
	if n := len(f.running); n > 0 {
		c.add(Warning, "sessions.old", "segue items "+f.running[0]+" says what each item waits for",
			"%s been running for more than a day (%s)", have(n), some(f.running))
	}
	if len(f.unsealed)+len(f.running) == 0 {
		c.ok("sessions.old", "nothing has been on its way for more than a day")
	}
}

func are(n int) string {
	if n == 1 {
		return "1 session is"
	}
	return fmt.Sprintf("%d sessions are", n)
}

func have(n int) string {
	if n == 1 {
		return "1 session has"
	}
	return fmt.Sprintf("%d sessions have", n)
}

// some names a few ids.
func some(ids []string) string {
	if len(ids) <= named {
		return strings.Join(ids, ", ")
	}
	return strings.Join(ids[:named], ", ") + ", …"
}
