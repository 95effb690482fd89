package bandwidth_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/segue-audio/segue/internal/bandwidth"
)

const kib = 1 << 10

// body is n bytes.
func body(n int) io.ReadCloser { return io.NopCloser(io.LimitReader(zeros{}, int64(n))) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A minute's worth takes a minute, less the quarter of a second that may go ahead,
// whatever the reads bring and however many transfers share the rate. Time is virtual.
func TestTheRateIsHeld(t *testing.T) {
	for name, c := range map[string]struct {
		transfers int
		each      int
		short     func(io.Reader) io.Reader
		want      time.Duration
	}{
		"one":           {1, 60 * 64 * kib, nil, 59750 * time.Millisecond},
		"a little":      {1, 16 * kib, nil, 0},
		"half reads":    {1, 8 * 64 * kib, iotest.HalfReader, 7750 * time.Millisecond},
		"single bytes":  {1, 2 * 64 * kib, iotest.OneByteReader, 1750 * time.Millisecond},
		"data and EOF":  {1, 8 * 64 * kib, iotest.DataErrReader, 7750 * time.Millisecond},
		"ten at a time": {10, 2 * 64 * kib, nil, 19750 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limiter, start := bandwidth.New(64*kib), time.Now()
				var wg sync.WaitGroup
				for range c.transfers {
					wg.Go(func() {
						from := body(c.each)
						if c.short != nil {
							from = io.NopCloser(c.short(from))
						}
						n, err := io.Copy(io.Discard, limiter.Reader(t.Context(), from))
						if n != int64(c.each) || err != nil {
							t.Errorf("%d bytes, %v; want %d", n, err, c.each)
						}
					})
				}
				wg.Wait()
				// Every read's time is rounded down to a whole nanosecond.
				if took := time.Since(start); took > c.want || c.want-took > time.Millisecond {
					t.Errorf("it took %s, want %s", took, c.want)
				}
			})
		})
	}
}

// After a long rest no more than a quarter of a second's worth goes at once.
func TestARestIsNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := bandwidth.New(64 * kib)
		read := func(n int) time.Duration {
			start := time.Now()
			if _, err := io.Copy(io.Discard, limiter.Reader(t.Context(), body(n))); err != nil {
				t.Fatal(err)
			}
			return time.Since(start)
		}
		for range 3 {
			time.Sleep(time.Hour)
			if got, want := read(16*kib), time.Duration(0); got != want {
				t.Errorf("a quarter of a second's worth after a rest took %s, want %s", got, want)
			}
			if got, want := read(64*kib), time.Second; got != want {
				t.Errorf("a second's worth after it took %s, want %s", got, want)
			}
		}
	})
}

// Two transfers of one rate end together: none has to wait for all of the other.
func TestTransfersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter, start := bandwidth.New(64*kib), time.Now()
		ends := make(chan time.Duration, 2)
		for range 2 {
			go func() {
				_, err := io.Copy(io.Discard, limiter.Reader(t.Context(), body(640*kib)))
				if err != nil {
					t.Error(err)
				}
				ends <- time.Since(start)
			}()
		}
		first, second := <-ends, <-ends
		// What may go at once goes to whoever comes first.
		if second-first > 300*time.Millisecond {
			t.Errorf("they ended after %s and %s, want a quarter of a second apart", first, second)
		}
	})
}

func TestACanceledTransferEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		n, err := io.Copy(io.Discard, bandwidth.New(64*kib).Reader(ctx, body(1<<30)))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %s, want deadline exceeded after 2s", err, time.Since(start))
		}
		// 2 s, the quarter that may go ahead, and the chunk that waited.
		if want := int64(64*kib*9/4 + kib); n > want {
			t.Errorf("%d bytes came, want at most %d", n, want)
		}
	})
}

func TestARateMayChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter, start := bandwidth.New(64*kib), time.Now()
		time.AfterFunc(10*time.Second, func() { limiter.Set(640 * kib) })
		if _, err := io.Copy(io.Discard, limiter.Reader(t.Context(), body(64*kib*110))); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start).Round(100 * time.Millisecond); took != 20*time.Second {
			t.Errorf("ten seconds' worth, and a hundred ten times as fast, took %s, want 20s", took)
		}
		limiter.Set(0)
		start = time.Now()
		if _, err := io.Copy(io.Discard, limiter.Reader(t.Context(), body(1<<20))); err != nil || time.Since(start) != 0 {
			t.Errorf("without a limit it took %s, %v; want no time", time.Since(start), err)
		}
	})
}

// A read moves a chunk at most, so that a limit of many transfers lets each go on
// often; without a limit reads are as large as they are asked for.
func TestReadsAreSmall(t *testing.T) {
	for rate, want := range map[int64]int{0: 1 << 20, 64: 512, 64 * kib: kib, 1 << 20: 16 * kib, 1 << 40: 256 * kib} {
		synctest.Test(t, func(t *testing.T) {
			got, err := bandwidth.New(rate).Reader(t.Context(), body(2<<20)).Read(make([]byte, 1<<20))
			if got != want || err != nil {
				t.Errorf("at %d bytes a second a read brought %d, %v; want %d", rate, got, err, want)
			}
		})
	}
}

// An answer keeps its bytes whole, both where it is read and where it is written. Who
// waits here waits in real time, so the answers are worth less than a quarter second.
func TestAnswersStayWhole(t *testing.T) {
	const size = 100 * kib
	sent := strings.Repeat("0123456789abcdef", size/16)
	limiter := bandwidth.New(400 * kib)
	server := httptest.NewServer(bandwidth.New(400 * kib).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("a deadline cannot be set: %v", err)
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(sent))
	})))
	defer server.Close()
	client := limiter.Client(server.Client())
	for want, ranged := range map[string]string{sent: "", sent[1000:2000]: "bytes=1000-1999"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ranged != "" {
			request.Header.Set("Range", ranged)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil || !bytes.Equal(got, []byte(want)) {
			t.Errorf("%q: %d bytes, %v; want %d", ranged, len(got), err, len(want))
		}
	}
	client.CloseIdleConnections()
}

// An answer is written no faster than the rate.
func TestWritingIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, into := time.Now(), httptest.NewRecorder()
		handler := bandwidth.New(64 * kib).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n, err := io.Copy(w, body(640*kib)); n != 640*kib || err != nil {
				t.Errorf("%d bytes, %v; want %d", n, err, 640*kib)
			}
		}))
		handler.ServeHTTP(into, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if took := time.Since(start); took != 9750*time.Millisecond || into.Body.Len() != 640*kib {
			t.Errorf("%d bytes in %s, want %d in 9.75s", into.Body.Len(), took, 640*kib)
		}
	})
}

// A small request that has no limiter is sent at once, however busy the limiter is: the
// zero value and nil stand for none.
func TestNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, limiter := range map[string]*bandwidth.Limiter{"nil": nil, "zero": {}, "0": bandwidth.New(0), "below": bandwidth.New(-1)} {
			start := time.Now()
			n, err := io.Copy(io.Discard, limiter.Reader(t.Context(), body(10<<20)))
			if n != 10<<20 || err != nil || time.Since(start) != 0 {
				t.Errorf("%s: %d bytes in %s, %v", name, n, time.Since(start), err)
			}
		}
	})
}
