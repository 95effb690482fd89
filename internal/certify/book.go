package certify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

// book reads what the provider knows: its charge log and verdict, over the control
// API of the simulator, and what came of an operation, as any customer asks.
type book struct {
	base   string
	vendor vendor
	client *http.Client
}

func newBook(base string, v vendor) *book {
	return &book{base, v, &http.Client{Timeout: 30 * time.Second}}
}

// ask uses the control API and reads the JSON of a good answer into a value; nil reads
// nothing.
func (b *book) ask(ctx context.Context, method, path string, body, into any) error {
	text, err := b.text(ctx, method, path, "", body)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// text makes a request, with a key where one is needed, and gives the body of a good
// answer.
func (b *book) text(ctx context.Context, method, path, key string, body any) ([]byte, error) {
	var sent io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, b.base+path, sent)
	if err != nil {
		return nil, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %.200s", method, path, resp.Status, answer)
	}
	return answer, nil
}

// charges is the log from after a charge on; 0 is the beginning.
func (b *book) charges(ctx context.Context, after int) ([]simulator.Charge, error) {
	var charges []simulator.Charge
	err := b.ask(ctx, http.MethodGet, fmt.Sprintf("/_sim/charges?after=%d", after), nil, &charges)
	return charges, err
}

func (b *book) verdict(ctx context.Context) (v simulator.Verdict, err error) {
	err = b.ask(ctx, http.MethodGet, "/_sim/verdict", nil, &v)
	return v, err
}

// heard says that the provider has looked at all audio that it was given: only then
// does its log name what every charge was for.
func (b *book) heard(ctx context.Context) (bool, error) {
	var r simulator.Report
	err := b.ask(ctx, http.MethodGet, "/_sim/state", nil, &r)
	return r.Downloads == 0, err
}

func (b *book) faults(ctx context.Context, f simulator.Faults) error {
	return b.ask(ctx, http.MethodPost, "/_sim/faults", map[string]any{"probabilities": f}, nil)
}

// made asks which clips came of an operation that succeeded, with the key of the
// account that paid for it. A provider that was asked by a worker a moment ago may
// want its pause before it answers: it is asked again for a while. None after that is
// what it says.
func (b *book) made(ctx context.Context, key, operation string) ([]string, error) {
	const attempts = 20
	var problem error
	for range attempts {
		text, err := b.text(ctx, http.MethodGet, b.vendor.question(operation), key, nil)
		var ids []string
		if err == nil {
			ids, err = b.vendor.ids(text)
		}
		if len(ids) > 0 {
			return ids, nil
		}
		problem = err
		if !pause(ctx, 250*time.Millisecond, false) {
			return nil, ctx.Err()
		}
	}
	if problem != nil {
		return nil, fmt.Errorf("operation %s: %w", operation, problem)
	}
	return nil, nil
}
