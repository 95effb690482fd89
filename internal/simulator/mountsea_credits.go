package simulator

import (
	"net/http"
	"sort"
	"time"
)

// The credits host. Balance and points search follow the documents' examples.
// Of the usage search only its purpose is documented ("status codes, consumed
// credits, trace IDs, metadata"): its field names are a guess.

var searchFields = []string{"dateRange", "page", "limit", "services", "businessTypes"}

func mountseaDoCredits(c *call) answer {
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(s.now())
	return answerJSON(http.StatusOK, map[string]any{"credits": s.state.accounts[c.account].Credits})
}

func mountseaDoServices(*call) answer {
	return answerJSON(http.StatusOK, []map[string]any{{"id": 7, "name": "suno"}})
}

// pointsItem is one deduction. Refunds are not listed: the documents speak of
// deductions only, so a balance may be higher than the last line says.
type pointsItem struct {
	ID            string `json:"id"`
	ServiceName   string `json:"serviceName"`
	APIPath       string `json:"apiPath"`
	APIMethod     string `json:"apiMethod"`
	FinalAmount   int64  `json:"finalAmount"`
	BeforeCredits int64  `json:"beforeCredits"`
	AfterCredits  int64  `json:"afterCredits"`
	// TraceID is not the task id: nothing says that it is, and a client that
	// took it for one would be wrong.
	TraceID   string `json:"traceId"`
	CreatedAt string `json:"createdAt"`
}

type usageItem struct {
	ID             string         `json:"id"`
	ServiceName    string         `json:"serviceName"`
	APIPath        string         `json:"apiPath"`
	APIMethod      string         `json:"apiMethod"`
	StatusCode     int            `json:"statusCode"`
	ConsumedPoints int64          `json:"consumedCredits"`
	TraceID        string         `json:"traceId"`
	Metadata       map[string]any `json:"metadata"`
	CreatedAt      string         `json:"createdAt"`
}

type searchMeta struct {
	TotalItems   int `json:"totalItems"`
	ItemCount    int `json:"itemCount"`
	ItemsPerPage int `json:"itemsPerPage"`
	TotalPages   int `json:"totalPages"`
	CurrentPage  int `json:"currentPage"`
}

var mountseaPaths = map[string]string{
	mountseaUpload: "/v2/upload", mountseaItem: "/v2/audio/upload/session/item", mountseaGenerate: "/v2/generate",
}

// listedPath is a request's path as the lists write it. The documents' only example
// is that of another service, which is called at /chat/v1/chat/completions and
// listed as "/v1/chat/completions". Whether the Suno service loses its name as
// well is not documented: the seed decides.
func (s *Simulator) listedPath(endpoint string) string {
	if s.dice.pick("mountsea/listed path", 0, 2) == 0 {
		return "/suno" + mountseaPaths[endpoint]
	}
	return mountseaPaths[endpoint]
}

func mountseaDoPoints(c *call) answer {
	return search(c, func(ch Charge) pointsItem {
		return pointsItem{
			ID: derive(ch.OperationID, "points"), ServiceName: "suno", APIPath: c.sim.listedPath(ch.Endpoint), APIMethod: http.MethodPost,
			FinalAmount: ch.Credits, BeforeCredits: ch.Before, AfterCredits: ch.After,
			TraceID: derive(ch.OperationID, "trace"), CreatedAt: stamp(ch.Time),
		}
	})
}

func mountseaDoUsage(c *call) answer {
	return search(c, func(ch Charge) usageItem {
		return usageItem{
			ID: derive(ch.OperationID, "usage"), ServiceName: "suno", APIPath: c.sim.listedPath(ch.Endpoint), APIMethod: http.MethodPost,
			StatusCode: http.StatusCreated, ConsumedPoints: ch.Credits,
			TraceID: derive(ch.OperationID, "trace"), Metadata: map[string]any{}, CreatedAt: stamp(ch.Time),
		}
	})
}

const (
	maxSearchSpan  = 90 * 24 * time.Hour
	maxSearchLimit = 100
)

// search answers with one page of the account's charges, newest first.
func search[T any](c *call, item func(Charge) T) answer {
	start, end, ok := c.dateRange()
	if !ok {
		return c.missing("dateRange")
	}
	if end.Sub(start) > maxSearchSpan {
		return c.bad("dateRange must not exceed 90 days")
	}
	page, pageOK := positive(c.body["page"], 1)
	limit, limitOK := positive(c.body["limit"], 10)
	if !pageOK || !limitOK || limit > maxSearchLimit {
		return c.bad("page and limit must be positive, limit at most 100")
	}
	found, total := c.chargesBetween(start, end, page, limit)
	items := make([]T, 0, len(found))
	for _, ch := range found {
		items = append(items, item(ch))
	}
	meta := searchMeta{TotalItems: total, ItemCount: len(items), ItemsPerPage: limit, TotalPages: (total + limit - 1) / limit, CurrentPage: page}
	return answerJSON(http.StatusOK, map[string]any{"items": items, "meta": meta})
}

// dateRange reads {"start","end"} in milliseconds since 1970.
func (c *call) dateRange() (start, end time.Time, ok bool) {
	bounds, _ := c.body["dateRange"].(map[string]any)
	from, okFrom := bounds["start"].(float64)
	to, okTo := bounds["end"].(float64)
	return time.UnixMilli(int64(from)), time.UnixMilli(int64(to)), okFrom && okTo && from <= to
}

// chargesBetween gives one page and the number of all.
func (c *call) chargesBetween(start, end time.Time, page, limit int) (found []Charge, total int) {
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.state.entries(s.state.accounts[c.account], s.now())
	at := func(i int) time.Time { return s.state.charges[mine[i]].Time }
	low := sort.Search(len(mine), func(i int) bool { return !at(i).Before(start) })
	high := sort.Search(len(mine), func(i int) bool { return at(i).After(end) })
	// Page numbers come from outside: no product of them may overflow.
	if skip := int64(page-1) * int64(limit); page <= len(mine)+1 && skip < int64(high-low) {
		for i := high - 1 - int(skip); i >= low && len(found) < limit; i-- {
			found = append(found, s.state.charges[mine[i]])
		}
	}
	return found, high - low
}
