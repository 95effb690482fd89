package mountsea

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const (
	booksOp = "mountsea.Books"

	// slack widens a question: MountSea's clock is not ours. Servers that keep
	// their time at all keep it within seconds; what five minutes count too much
	// only makes the answer more careful.
	slack = 5 * time.Minute

	// maxSpan is the longest dateRange that MountSea takes.
	maxSpan = 90 * 24 * time.Hour

	// pageSize is asked for, and may be cut down there: no bound is documented.
	// maxPages bounds what one question may cost; at 50 a page that is room for
	// 5,000 deductions within the few minutes of a question.
	pageSize = 50
	maxPages = 100
)

// Books reads the clips of the session and the list of the account's deductions.
//
// Sources: the page "Batch Upload Session" for the one, "Search credits change
// history" for the other.
func (d *driver) Books(ctx context.Context, q *provider.Question) (*provider.Books, error) {
	path, err := billedPath(q)
	if err != nil {
		return nil, fault.Uncharged(fault.Invalid, booksOp, err)
	}
	books := &provider.Books{}
	if path == itemPath {
		if books.Clips, err = d.sessionClips(ctx, q.Session); err != nil {
			return nil, err
		}
	}
	if books.Charges, err = d.deductions(ctx, q, path); err != nil {
		return nil, err
	}
	return books, nil
}

// billedPath is where the request in question went.
func billedPath(q *provider.Question) (string, error) {
	switch span := q.Until.Sub(q.From); {
	case span < 0:
		return "", errors.New("the time in question ends before it begins")
	case span > maxSpan-2*slack: // a span that is too long for a Duration is the longest one
		return "", errors.New("the time in question is longer than the 90 days that MountSea searches")
	}
	switch {
	case q.Step == "upload" && q.Session != "":
		return itemPath, nil
	case q.Step == "upload":
		return uploadPath, nil
	case q.Step == "extend":
		return generatePath, nil
	}
	return "", fmt.Errorf("there is no step %q", q.Step)
}

func badBooks(format string, args ...any) error {
	return fault.Uncharged(fault.Malformed, booksOp, fmt.Errorf(format, args...))
}

// sessionClips lists the clips of the uploads that have succeeded so far; none is
// an empty list. Uploads under way are not in it, and failed ones never are.
func (d *driver) sessionClips(ctx context.Context, session string) ([]string, error) {
	type aggregate struct {
		AudioIDs []rest.Text `json:"audioIds"`
	}
	var out struct {
		TaskID rest.Text `json:"taskId"`
		Status rest.Text `json:"status"`
		Data   aggregate `json:"data"`
		// The page has the list in "result" where it speaks of a new session, and in
		// "data" in its example.
		Result aggregate `json:"result"`
	}
	if err := d.api.JSON(ctx, booksOp, http.MethodGet, statusPath(session), nil, &out); err != nil {
		return nil, err
	}
	ids := out.Data.AudioIDs
	if ids == nil {
		ids = out.Result.AudioIDs
	}
	switch {
	case out.TaskID != "" && !strings.EqualFold(string(out.TaskID), session):
		return nil, badBooks("the answer is about another session")
	case out.Status != "success": // "prepare is terminal"
		return nil, badBooks("the session's status is %q, not success", d.api.Clean(string(out.Status)))
	case ids == nil:
		return nil, badBooks("the session has no list audioIds")
	case slices.Contains(ids, ""):
		return nil, badBooks("the session's audioIds hold something that is no id")
	}
	clips := make([]string, len(ids))
	for n, id := range ids {
		clips[n] = string(id)
	}
	return clips, nil
}

// deductions counts the ones of path within the time in question. It reads the
// list to its end and then makes sure that it has seen all of it: a list that
// grows while its pages are turned is no list, and is asked for again later.
func (d *driver) deductions(ctx context.Context, q *provider.Question, path string) (int, error) {
	from, until := q.From.Add(-slack), q.Until.Add(slack)
	seen, found := map[rest.Text]bool{}, 0
	for number := 1; ; number++ {
		page, err := d.deductionPage(ctx, from, until, number)
		if err != nil {
			return 0, err
		}
		for _, entry := range page.Items {
			if !seen[entry.ID] && entry.within(from, until) && entry.mayBeOf(path) {
				found++
			}
			seen[entry.ID] = true
		}
		switch total := page.Meta; {
		case total.TotalPages.value > maxPages:
			return 0, fault.Uncharged(fault.Unavailable, booksOp, fmt.Errorf("the list has %d pages, more than the %d that are read", total.TotalPages.value, maxPages))
		case number < total.TotalPages.value:
		case len(seen) != total.TotalItems.value:
			return 0, fault.Uncharged(fault.Unavailable, booksOp, fmt.Errorf("the list has %d entries and %d were on its pages: it changed meanwhile", total.TotalItems.value, len(seen)))
		default:
			return found, nil
		}
	}
}

// deductionPage asks for one page and refuses what is not one.
func (d *driver) deductionPage(ctx context.Context, from, until time.Time, number int) (*pointsPage, error) {
	request := pointsRequest{Page: number, Limit: pageSize}
	request.DateRange.Start, request.DateRange.End = from.UnixMilli(), until.UnixMilli()
	var page pointsPage
	// It has a body and is free all the same.
	if err := rest.Free(d.credits.JSON(ctx, booksOp, http.MethodPost, "api-user/points/search", request, &page)); err != nil {
		return nil, err
	}
	return &page, page.check(number)
}

func (p *pointsPage) check(number int) error {
	m := p.Meta
	switch {
	case p.Items == nil:
		return badBooks("page %d has no items", number)
	case !m.TotalItems.known || !m.ItemCount.known || !m.TotalPages.known || !m.CurrentPage.known:
		return badBooks("page %d does not say how much there is", number)
	case m.CurrentPage.value != number:
		return badBooks("page %d was asked for, and page %d came", number, m.CurrentPage.value)
	case m.ItemCount.value != len(p.Items):
		return badBooks("page %d has %d items and says %d", number, len(p.Items), m.ItemCount.value)
	}
	for n, entry := range p.Items {
		if !entry.complete() {
			return badBooks("item %d of page %d is no deduction", n+1, number)
		}
	}
	return nil
}

// statusPath asks about a task or a session.
func statusPath(id string) string { return "suno/v2/status?taskId=" + url.QueryEscape(id) }

type pointsRequest struct {
	DateRange struct {
		Start int64 `json:"start"` // milliseconds since 1970
		End   int64 `json:"end"`
	} `json:"dateRange"`
	Page  int `json:"page"`
	Limit int `json:"limit"`
}

type pointsPage struct {
	Items []deduction `json:"items"`
	Meta  struct {
		TotalItems  figure `json:"totalItems"`
		ItemCount   figure `json:"itemCount"`
		TotalPages  figure `json:"totalPages"`
		CurrentPage figure `json:"currentPage"`
	} `json:"meta"`
}

// figure is a number of things, also as text. Anything else is not known, which
// is not the same as 0 here.
type figure struct {
	value int
	known bool
}

// UnmarshalJSON never fails on valid JSON.
func (f *figure) UnmarshalJSON(raw []byte) error {
	var digits rest.Text
	if err := digits.UnmarshalJSON(raw); err != nil {
		return err
	}
	n, err := strconv.Atoi(string(digits))
	*f = figure{n, err == nil && n >= 0}
	return nil
}

// deduction is one entry of the list. Its traceId is not said to be the task's.
type deduction struct {
	ID      rest.Text `json:"id"`
	Service rest.Text `json:"serviceName"`
	Path    rest.Text `json:"apiPath"`
	Amount  rest.Text `json:"finalAmount"`
	Created rest.Text `json:"createdAt"`
}

func (e deduction) complete() bool {
	_, notAmount := strconv.ParseFloat(string(e.Amount), 64)
	_, notTime := e.time()
	return e.ID != "" && e.Service != "" && e.Path != "" && errors.Join(notAmount, notTime) == nil
}

func (e deduction) time() (time.Time, error) { return time.Parse(time.RFC3339, string(e.Created)) }

// within looks at the time again, for a server that searches by whole days.
func (e deduction) within(from, until time.Time) bool {
	at, err := e.time()
	return err == nil && !at.Before(from) && !at.After(until)
}

// mayBeOf says whether the entry may be of a request to path, which is what it is
// unless it is surely of another: that none is listed can lead to a second
// request.
//
// How the list writes our paths is not documented. Its one example has
// "/v1/chat/completions" of the service "chat" for what is called at
// /chat/v1/chat/completions, so the service's name may be missing; whatever else
// the list says of the Suno service is taken for ours, except what is another of
// the three endpoints that we are billed at. The amount does not matter: a request
// that was accepted for nothing was accepted.
func (e deduction) mayBeOf(path string) bool {
	written, _, _ := strings.Cut(strings.ToLower(string(e.Path)), "?")
	written = "/" + strings.Trim(written, "/")
	if strings.HasSuffix(written, below(path)) {
		return true
	}
	for _, other := range []string{uploadPath, itemPath, generatePath} {
		if strings.HasSuffix(written, below(other)) {
			return false
		}
	}
	return strings.Contains(strings.ToLower(string(e.Service)), service) || strings.Contains(written, service)
}

// below is a path without the service's name.
func below(path string) string { return strings.TrimPrefix(path, service) }
