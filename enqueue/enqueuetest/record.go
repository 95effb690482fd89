package enqueuetest

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/session"
)

// Recorded is a session that was submitted.
type Recorded struct {
	// ID is the session's id.
	ID string
	// Session is what was asked for. Its Items are those of the submission and
	// behind them those that were added later.
	enqueue.Session
	// Submissions counts the calls of Submit that were answered with this session.
	Submissions int
	// Sealed says that no more items can be added, Canceled that it was canceled.
	Sealed   bool
	Canceled bool
}

// record is a session and where its items are.
type record struct {
	Recorded
	// asked identifies the request that its key stands for.
	asked    request
	canceled time.Time
	items    []enqueue.ItemStatus
	keys     map[string]int
}

// newRecord records a session that has no items yet.
func newRecord(s *enqueue.Session) (*record, error) {
	id, err := session.NewID()
	if err != nil {
		return nil, err
	}
	asked, err := requestOf(s)
	if err != nil {
		return nil, err
	}
	known := &record{asked: asked, keys: map[string]int{}}
	known.ID, known.Session, known.Submissions, known.Sealed = id, *s, 1, !s.Open
	known.Items, known.Extend = nil, copyOf(s.Extend)
	return known, nil
}

// request is what makes two submissions of one key the same request.
type request struct {
	Session enqueue.Session
	Items   []itemRequest
}

type itemRequest struct {
	Item   enqueue.Item
	Extend bool
}

// requestOf takes away what makes no difference: the words for a default, and that
// a file was only touched.
func requestOf(s *enqueue.Session) (request, error) {
	asked := request{Session: *s, Items: make([]itemRequest, len(s.Items))}
	asked.Session.Items, asked.Session.Key, asked.Session.Open = nil, "", false
	asked.Session.Extend = copyOf(s.Extend)
	asked.Session.Account = accountOf(s)
	for n, item := range s.Items {
		item.Name = cmp.Or(item.Name, item.Source)
		if !strings.Contains(item.Source, "://") {
			path, err := filepath.Abs(item.Source)
			if err != nil {
				return request{}, err
			}
			item.Source = path
		}
		extend := extends(s, &item)
		item.Known.ModTime, item.UploadOnly, item.Extend = time.Time{}, false, copyOf(item.Extend)
		asked.Items[n] = itemRequest{item, extend}
	}
	return asked, nil
}

func accountOf(s *enqueue.Session) string { return cmp.Or(s.Account, "main") }

// extends says whether an item of the session is extended.
func extends(s *enqueue.Session, item *enqueue.Item) bool {
	return (s.Extend != nil || item.Extend != nil) && !item.UploadOnly
}

// copyOf keeps what was asked for when its owner changes it.
func copyOf(e *enqueue.Extend) *enqueue.Extend {
	if e == nil {
		return nil
	}
	own := *e
	for _, weight := range []**float64{&own.StyleWeight, &own.WeirdnessConstraint, &own.AudioWeight} {
		if *weight != nil {
			*weight = new(**weight)
		}
	}
	return &own
}

// again answers a submission under a key that was used before.
func (k *record) again(s *enqueue.Session) (*enqueue.Submitted, error) {
	asked, err := requestOf(s)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(asked, k.asked) {
		return nil, fmt.Errorf("%w: session %s was submitted with other contents", enqueue.ErrConflict, k.ID)
	}
	k.Submissions++
	submitted := &enqueue.Submitted{SessionID: k.ID, Existed: true, Items: make([]enqueue.Answer, len(s.Items))}
	refused := error(nil)
	if k.Canceled && len(s.Items) > 0 {
		refused = fmt.Errorf("%w: session %s", enqueue.ErrCanceled, k.ID)
	}
	for n := range s.Items {
		submitted.Items[n] = enqueue.Answer{ItemID: session.ItemID(k.ID, n), Index: n, Existed: refused == nil, Err: refused}
	}
	k.Sealed = k.Sealed || !s.Open
	return submitted, refused
}

// refuses says why items cannot be added.
func (k *record) refuses(items []enqueue.Item) error {
	for n := range items {
		_, known := k.keys[items[n].Key]
		switch {
		case k.Canceled:
			return fmt.Errorf("%w: session %s", enqueue.ErrCanceled, k.ID)
		case k.Sealed && !known:
			return fmt.Errorf("%w: session %s is sealed: no more items can be added", enqueue.ErrConflict, k.ID)
		}
	}
	return nil
}

// add puts items behind the last one, but for those whose keys are there.
func (k *record) add(items []enqueue.Item) []enqueue.Answer {
	answers := make([]enqueue.Answer, len(items))
	for n, item := range items {
		index, known := k.keys[item.Key]
		if !known {
			index = len(k.items)
			item.Extend = copyOf(item.Extend)
			k.Items = append(k.Items, item)
			k.items = append(k.items, queued(session.ItemID(k.ID, index), index, &item))
			if item.Key != "" {
				k.keys[item.Key] = index
			}
		}
		answers[n] = enqueue.Answer{ItemID: session.ItemID(k.ID, index), Index: index, Existed: known}
	}
	return answers
}

// queued is an item at the start of its plan.
func queued(id string, index int, item *enqueue.Item) enqueue.ItemStatus {
	return enqueue.ItemStatus{
		ItemID: id, Index: index, Source: cmp.Or(item.Name, item.Source),
		SHA256: item.Known.SHA256, DurationSeconds: item.Known.Duration.Seconds(),
		Status: string(session.Queued), Step: string(session.StepUpload),
		OperationIDs: []string{}, AudioIDs: []string{}, Tracks: []enqueue.Track{},
	}
}

// cancel ends every item that nobody has begun.
func (k *record) cancel(now time.Time) {
	if !k.Canceled {
		k.canceled = now
	}
	k.Canceled, k.Sealed = true, true
	for n := range k.items {
		if k.items[n].Status == string(session.Queued) {
			k.items[n].Status = string(session.Canceled)
		}
	}
}

// progress is the session without its items. Where it is, is the domain's to say.
func (k *record) progress() *enqueue.Status {
	counts := map[string]int{}
	for n := range k.items {
		it := session.Item{Step: session.StepName(k.items[n].Step), State: session.State(k.items[n].Status)}
		counts[it.Label()]++
	}
	view := (&session.Session{
		Spec:   session.Spec{ID: k.ID, Name: k.Name, Provider: k.Provider, Account: accountOf(&k.Session)},
		Sealed: k.Sealed, Canceled: k.canceled, Total: len(k.items), Counts: counts,
	}).View()
	return &enqueue.Status{
		SessionID: view.SessionID, Name: view.Name, Provider: view.Provider, Account: view.Account,
		Status: string(view.Status), Counts: enqueue.Counts(view.Counts), AudioIDs: []string{}, Items: []enqueue.ItemStatus{},
	}
}

// status is the session with its items.
func (k *record) status() *enqueue.Status {
	s := k.progress()
	s.Items = append(s.Items, k.items...)
	for n := range k.items {
		s.AudioIDs = append(s.AudioIDs, k.items[n].AudioIDs...)
		s.CreditsSpent += k.items[n].Credits
	}
	return s
}

// shown is a copy for the test to keep.
func (k *record) shown() Recorded {
	shown := k.Recorded
	shown.Items = slices.Clone(k.Items)
	return shown
}

// keyed lists what is known, for the message that says that something is not.
func keyed(keys map[string]*record) string {
	if len(keys) == 0 {
		return "none was used"
	}
	return strings.Join(slices.Sorted(maps.Keys(keys)), ", ")
}
