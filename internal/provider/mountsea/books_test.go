package mountsea_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// The time in question: a minute from 2026-11-22 10:00:00 UTC. Widened, it lasts
// from 09:55 to 10:06.
var (
	from  = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	until = from.Add(time.Minute)
)

func asking(step, session string) *provider.Question {
	return &provider.Question{Step: step, Session: session, From: from, Until: until}
}

func witness(t *testing.T, d provider.Driver) provider.Witness {
	t.Helper()
	w, ok := d.(provider.Witness)
	if !ok {
		t.Fatal("the driver keeps no books, want a provider.Witness")
	}
	return w
}

// The routes of the books, and answers of theirs.
const (
	sessionRoute = "GET /api/suno/v2/status?taskId=f259907e-32dd-468d-95f9-e3c0baf4f01c"
	pointsRoute  = "POST /dk/api-user/points/search"
	twoClips     = `{"taskId":"f259907e-32dd-468d-95f9-e3c0baf4f01c","status":"success","data":{"audioIds":["e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c","4595e4da-af12-4c24-a013-9cfd11db7d50"]}}`
	noPoints     = `{"items":[],"meta":{"totalItems":0,"itemCount":0,"itemsPerPage":50,"totalPages":0,"currentPage":1}}`
)

// point is an entry of the list, in the form of the documents' example.
func point(id, service, path, created string) string {
	return fmt.Sprintf(`{"id":%q,"serviceName":%q,"apiPath":%q,"apiMethod":"POST","finalAmount":2,"beforeCredits":10,"afterCredits":8,"traceId":"t","createdAt":%q}`, id, service, path, created)
}

// points is a list of one page.
func points(items ...string) string {
	return fmt.Sprintf(`{"items":[%s],"meta":{"totalItems":%d,"itemCount":%d,"itemsPerPage":50,"totalPages":1,"currentPage":1}}`, strings.Join(items, ","), len(items), len(items))
}

func TestBooksRequests(t *testing.T) {
	const search = `{"dateRange":{"start":1795341300000,"end":1795341960000},"page":1,"limit":50}`
	cases := []struct {
		step, session string
		want          provider.Books
		asked         []asked
	}{
		{
			"upload", sessionID,
			provider.Books{Clips: []string{"e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c", "4595e4da-af12-4c24-a013-9cfd11db7d50"}},
			[]asked{{sessionRoute, "Bearer " + key, "", ""}, {pointsRoute, "", key, search}},
		},
		{"upload", "", provider.Books{}, []asked{{pointsRoute, "", key, search}}},
		{"extend", sessionID, provider.Books{}, []asked{{pointsRoute, "", key, search}}},
		{"extend", "", provider.Books{}, []asked{{pointsRoute, "", key, search}}},
	}
	for _, tc := range cases {
		d, got := serve(t, map[string]answer{sessionRoute: {200, twoClips}, pointsRoute: {201, noPoints}})
		books, err := witness(t, d).Books(t.Context(), asking(tc.step, tc.session))
		if err != nil {
			t.Errorf("Books of %s in session %q: %v", tc.step, tc.session, err)
			continue
		}
		if diff := cmp.Diff(tc.want, *books); diff != "" {
			t.Errorf("Books of %s in session %q (-want +got):\n%s", tc.step, tc.session, diff)
		}
		if diff := cmp.Diff(tc.asked, *got); diff != "" {
			t.Errorf("requests for %s in session %q (-want +got):\n%s", tc.step, tc.session, diff)
		}
	}
}

// TestWhatCountsAsOurs: too much is careful, too little is a second charge.
func TestWhatCountsAsOurs(t *testing.T) {
	const now = "2026-11-22T10:00:30.250Z"
	cases := []struct {
		name                  string
		item                  string
		upload, plain, extend int
	}{
		{"a session's item", point("1", "suno", "/suno/v2/audio/upload/session/item", now), 1, 0, 0},
		{"a plain upload", point("1", "suno", "/suno/v2/upload", now), 0, 1, 0},
		{"a generation", point("1", "suno", "/suno/v2/generate", now), 0, 0, 1},
		{"without the service, as the example of chat is", point("1", "suno", "/v2/generate", now), 0, 0, 1},
		{"an item without the service", point("1", "Suno", "v2/audio/upload/session/item/", now), 1, 0, 0},
		{"a whole address with a query", point("1", "suno", "https://api.mountsea.ai/SUNO/v2/generate?x=1", now), 0, 0, 1},
		{"of another service", point("1", "chat", "/v1/chat/completions", now), 0, 0, 0},
		{"of Suno, and not to be told", point("1", "suno", "/tasks", now), 1, 1, 1},
		{"of a service that is not to be told", point("1", "music", "/internal/suno/run", now), 1, 1, 1},
		{"five minutes before", point("1", "suno", "/suno/v2/generate", "2026-11-22T09:55:00Z"), 0, 0, 1},
		{"earlier than that, of a server that searches by days", point("1", "suno", "/suno/v2/generate", "2026-11-22T09:54:59.999Z"), 0, 0, 0},
		{"five minutes after, in another zone", point("1", "suno", "/suno/v2/generate", "2026-11-22T18:06:00+08:00"), 0, 0, 1},
		{"later than that", point("1", "suno", "/suno/v2/generate", "2026-11-22T10:06:00.001Z"), 0, 0, 0},
		{"for nothing, in figures and in text", strings.Replace(point("1", "suno", "/suno/v2/generate", now), `"finalAmount":2`, `"finalAmount":"0.00"`, 1), 0, 0, 1},
	}
	for _, tc := range cases {
		d, _ := serve(t, map[string]answer{sessionRoute: {200, twoClips}, pointsRoute: {200, points(tc.item)}})
		for _, ask := range []struct {
			q    *provider.Question
			want int
		}{{asking("upload", sessionID), tc.upload}, {asking("upload", ""), tc.plain}, {asking("extend", sessionID), tc.extend}} {
			books, err := witness(t, d).Books(t.Context(), ask.q)
			if err != nil || books.Charges != ask.want {
				t.Errorf("%s: Books of %s in session %q = %+v, %v; want %d charges", tc.name, ask.q.Step, ask.q.Session, books, err, ask.want)
			}
		}
	}
}

// pages serves a list by its pages and tells how many were asked for.
func pages(t *testing.T, tell func(number int) string) (provider.Driver, *int) {
	t.Helper()
	asked := new(int)
	return serveAt(t, func(w http.ResponseWriter, r *http.Request) {
		*asked++
		var request struct{ Page int }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Errorf("the search is not JSON: %v", err)
		}
		_, _ = w.Write([]byte(tell(request.Page)))
	}), asked
}

// page is one of several, of whose entries each has the id that it is given.
func page(number, of, total int, ids ...int) string {
	items := make([]string, len(ids))
	for n, id := range ids {
		items[n] = point(fmt.Sprint("p", id), "suno", "/suno/v2/generate", "2026-11-22T10:00:30Z")
	}
	return fmt.Sprintf(`{"items":[%s],"meta":{"totalItems":"%d","itemCount":"%d","itemsPerPage":"2","totalPages":"%d","currentPage":"%d"}}`, strings.Join(items, ","), total, len(items), of, number)
}

func TestEveryPageIsRead(t *testing.T) {
	cases := []struct {
		name  string
		pages []string
		want  int
	}{
		{"three pages", []string{page(1, 3, 5, 1, 2), page(2, 3, 5, 3, 4), page(3, 3, 5, 5)}, 5},
		{"one page", []string{page(1, 1, 2, 1, 2)}, 2},
		{"none, said to be one page", []string{page(1, 1, 0)}, 0},
		{"one that came late at the end", []string{page(1, 2, 3, 1, 2), page(2, 2, 4, 3, 4)}, 4},
		{"two that came late at the end, and need a page", []string{page(1, 2, 4, 1, 2), page(2, 3, 5, 3, 4), page(3, 3, 5, 5)}, 5},
	}
	for _, tc := range cases {
		d, asked := pages(t, func(number int) string { return tc.pages[number-1] })
		books, err := witness(t, d).Books(t.Context(), asking("extend", ""))
		if err != nil || books.Charges != tc.want || *asked != len(tc.pages) {
			t.Errorf("%s: %+v, %v after %d requests; want %d charges after %d", tc.name, books, err, *asked, tc.want, len(tc.pages))
		}
	}
}

// TestNoPartialCount: what is not the whole list is no list.
func TestNoPartialCount(t *testing.T) {
	cases := []struct {
		name  string
		pages []string
		code  fault.Code
		asked int
	}{
		{"entries pushed down by a new one", []string{page(1, 2, 4, 4, 3), page(2, 2, 5, 3, 2)}, fault.Unavailable, 2},
		{"an entry that is gone", []string{page(1, 2, 4, 1, 2), page(2, 2, 4, 3)}, fault.Unavailable, 2},
		{"an empty page in the middle", []string{page(1, 3, 5, 1, 2), page(2, 3, 5), page(3, 3, 5, 5)}, fault.Unavailable, 3},
		{"the same page again", []string{page(1, 2, 4, 1, 2), page(1, 2, 4, 1, 2)}, fault.Malformed, 2},
		{"more pages than are read", []string{page(1, 101, 202, 1, 2)}, fault.Unavailable, 1},
		{"a list that grows for ever", nil, fault.Unavailable, 100},
		{"a page cut short", []string{strings.Replace(page(1, 1, 2, 1, 2), `"itemCount":"2"`, `"itemCount":"3"`, 1)}, fault.Malformed, 1},
	}
	for _, tc := range cases {
		d, asked := pages(t, func(number int) string {
			if tc.pages == nil {
				return page(number, number+1, 2*number+2, 2*number, 2*number+1)
			}
			return tc.pages[number-1]
		})
		books, err := witness(t, d).Books(t.Context(), asking("extend", ""))
		if books != nil || fault.CodeOf(err) != tc.code || fault.ChargeOf(err) != fault.ChargeNone || *asked != tc.asked {
			t.Errorf("%s: %+v, %v after %d requests; want no books, %s, not charged, after %d", tc.name, books, err, *asked, tc.code, tc.asked)
		}
	}
}

func TestMalformedBooks(t *testing.T) {
	good := points(point("1", "suno", "/suno/v2/generate", "2026-11-22T10:00:30Z"))
	change := func(old, by string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("the good page has no %s", old)
		}
		return strings.Replace(good, old, by, 1)
	}
	lists := map[string]string{
		"items are null":         change(`"items":[`, `"items":null,"x":[`),
		"items are an object":    `{"items":{},"meta":{"totalItems":0,"itemCount":0,"totalPages":0,"currentPage":1}}`,
		"no meta":                change(`"meta"`, `"m"`),
		"no totalItems":          change(`"totalItems":1,`, ``),
		"no itemCount":           change(`"itemCount":1,`, ``),
		"no totalPages":          change(`"totalPages":1,`, ``),
		"no currentPage":         change(`,"currentPage":1`, ``),
		"totalItems is null":     change(`"totalItems":1`, `"totalItems":null`),
		"totalItems is below 0":  change(`"totalItems":1`, `"totalItems":-1`),
		"totalPages is a word":   change(`"totalPages":1`, `"totalPages":"many"`),
		"an entry is null":       `{"items":[null],"meta":{"totalItems":1,"itemCount":1,"totalPages":1,"currentPage":1}}`,
		"an entry without id":    change(`"id":"1",`, ``),
		"without a service":      change(`"serviceName":"suno",`, ``),
		"without a path":         change(`"apiPath":"/suno/v2/generate",`, ``),
		"without an amount":      change(`"finalAmount":2,`, ``),
		"without a time":         change(`,"createdAt":"2026-11-22T10:00:30Z"`, ``),
		"with a time in words":   change(`2026-11-22T10:00:30Z`, `yesterday`),
		"with an amount in word": change(`"finalAmount":2`, `"finalAmount":"two"`),
		"in an envelope":         `{"data":` + good + `}`,
	}
	for name, body := range lists {
		d, _ := serve(t, map[string]answer{pointsRoute: {200, body}})
		if books, err := witness(t, d).Books(t.Context(), asking("extend", "")); books != nil || fault.CodeOf(err) != fault.Malformed || fault.ChargeOf(err) != fault.ChargeNone {
			t.Errorf("%s: %+v, %v; want malformed, not charged", name, books, err)
		}
	}
	sessions := map[string]string{
		"about another session": strings.Replace(twoClips, sessionID, taskID, 1),
		"no data":               `{"taskId":"f259907e-32dd-468d-95f9-e3c0baf4f01c","status":"success"}`,
		"data is null":          `{"status":"success","data":null}`,
		"audioIds is null":      `{"status":"success","data":{"audioIds":null}}`,
		"audioIds is an object": `{"status":"success","data":{"audioIds":{}}}`,
		"an id is empty":        `{"status":"success","data":{"audioIds":["a",""]}}`,
		"an id is an object":    `{"status":"success","data":{"audioIds":[{"id":"a"}]}}`,
		"another status":        `{"status":"failed","data":{"audioIds":[]}}`,
		"no status":             `{"data":{"audioIds":[]}}`,
		"an upload's data":      `{"status":"success","data":{"id":"e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c","status":"complete"}}`,
	}
	for name, body := range sessions {
		d, _ := serve(t, map[string]answer{sessionRoute: {200, body}, pointsRoute: {200, good}})
		if books, err := witness(t, d).Books(t.Context(), asking("upload", sessionID)); books != nil || fault.CodeOf(err) != fault.Malformed || fault.ChargeOf(err) != fault.ChargeNone {
			t.Errorf("session, %s: %+v, %v; want malformed, not charged", name, books, err)
		}
	}
}

// TestEmptySession knows a session without clips from none at all, in both of the
// places where the page has the list.
func TestEmptySession(t *testing.T) {
	for _, body := range []string{`{"status":"success","data":{"audioIds":[]}}`, `{"status":"success","result":{"audioIds":[]},"data":null}`} {
		d, _ := serve(t, map[string]answer{sessionRoute: {200, body}, pointsRoute: {200, noPoints}})
		books, err := witness(t, d).Books(t.Context(), asking("upload", sessionID))
		if err != nil || books.Clips == nil || len(books.Clips) != 0 {
			t.Errorf("%s: %+v, %v; want an empty list of clips", body, books, err)
		}
	}
}

func TestQuestionsThatMakeNoSense(t *testing.T) {
	cases := map[string]*provider.Question{
		"no step":           {From: from, Until: until},
		"an unknown step":   {Step: "fetch", From: from, Until: until},
		"backwards":         {Step: "extend", From: until, Until: from},
		"no beginning":      {Step: "extend", Until: until},
		"more than 90 days": {Step: "extend", From: from, Until: from.Add(90 * 24 * time.Hour)},
	}
	for name, q := range cases {
		d, got := serve(t, nil)
		if _, err := witness(t, d).Books(t.Context(), q); fault.CodeOf(err) != fault.Invalid || fault.ChargeOf(err) != fault.ChargeNone || len(*got) != 0 {
			t.Errorf("%s: %v after %d requests; want invalid, not charged, after none", name, err, len(*got))
		}
	}
}
