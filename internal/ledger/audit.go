package ledger

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/reply"
)

// Act is something that an operator decided.
type Act struct {
	// ID makes recording it twice harmless; Record makes one up when it is empty.
	ID string
	// At is when it was recorded, by Redis's clock. Record ignores it.
	At time.Time
	// Who decided, and Verb what: "adopt", "resubmit", "abandon".
	Who, Verb string
	// Session and Index are what it was about; Index is -1 when it was no one item.
	Session string
	Index   int
	// Detail is for people. It must hold no secret.
	Detail string
	// Credits is what it cost or saved, as Detail says.
	Credits float64
}

// Record puts an act on record. The latest 100,000 or so are kept.
func (b *Book) Record(ctx context.Context, act Act) error {
	const op = "ledger.Record"
	if act.Verb == "" || act.Index < -1 {
		return fault.New(fault.Invalid, op, fmt.Errorf("%q of item %d is no act", act.Verb, act.Index))
	}
	amount, err := micros(op, act.Credits)
	if err != nil {
		return err
	}
	if act.ID == "" {
		// The client repeats a call whose answer was lost: it must find the first one.
		act.ID = uuid.NewString()
	}
	_, err = b.done(ctx, op, recordScript, []string{keyAudit}, act.ID, keptActs,
		"who", act.Who, "verb", act.Verb, "session", act.Session, "index", act.Index,
		"detail", act.Detail, "credits", amount)
	return err
}

// actBatch is how many acts one round trip reads.
const actBatch = 1000

// Acts gives the latest acts about a session, newest first, at most limit; about
// anything when session is empty.
func (b *Book) Acts(ctx context.Context, session string, limit int) ([]Act, error) {
	const op = "ledger.Acts"
	acts := make([]Act, 0, min(max(limit, 0), actBatch))
	for end := "+"; ; {
		stored, err := b.rdb.XRevRangeN(ctx, keyAudit, end, "-", actBatch).Result()
		if err != nil {
			return nil, reply.Down(op, err)
		}
		for _, message := range stored {
			if len(acts) >= limit {
				return acts, nil
			}
			if session != "" && message.Values["session"] != session {
				continue
			}
			act, err := decodeAct(message)
			if err != nil {
				return nil, fault.New(fault.Malformed, op, err)
			}
			acts = append(acts, act)
		}
		if len(stored) < actBatch {
			return acts, nil
		}
		end = "(" + stored[len(stored)-1].ID
	}
}

func decodeAct(message redis.XMessage) (Act, error) {
	field := func(name string) string {
		text, _ := message.Values[name].(string) // a field that is missing is empty, and no number
		return text
	}
	act := Act{ID: field("id"), Who: field("who"), Verb: field("verb"), Session: field("session"), Detail: field("detail")}
	amount, err := strconv.ParseInt(field("credits"), 10, 64)
	if err != nil {
		return Act{}, err
	}
	act.Credits = credits(amount)
	if act.Index, err = strconv.Atoi(field("index")); err != nil {
		return Act{}, err
	}
	act.At, err = ofID(message.ID)
	return act, err
}
