package bulk

import (
	"math"
	"time"
)

// takes is how long so many operations take at an account's limits, at the least,
// and what they wait for. Every upload and every extend is one request and holds one
// place while it runs; an item's extend follows its upload.
func (a Account) takes(uploads, extends int) (time.Duration, string) {
	requests := uploads + extends
	if requests == 0 {
		return 0, ""
	}
	var chain time.Duration
	if uploads > 0 {
		chain += a.Upload
	}
	if extends > 0 {
		chain += a.Extend
	}
	last := a.Extend
	if extends == 0 {
		last = a.Upload
	}
	took, limit := chain, "operation"
	if a.Submit > 0 && a.Per > 0 {
		// The first Submit requests leave at once, the last of them wait for every
		// period before theirs.
		if sent := times(a.Per, float64((requests-1)/a.Submit)) + last; sent > took {
			took, limit = sent, "rate"
		}
	}
	if a.InFlight > 0 {
		held := times(a.Upload, float64(uploads)/float64(a.InFlight)) + times(a.Extend, float64(extends)/float64(a.InFlight))
		if held > took {
			took, limit = held, "in flight"
		}
	}
	return took, limit
}

// times multiplies without wrapping around.
func times(d time.Duration, n float64) time.Duration {
	product := float64(d) * n
	if product >= math.MaxInt64/4 {
		return math.MaxInt64 / 4
	}
	return time.Duration(product)
}

// takes is how long fetching so many results takes.
func (f Fetching) takes(results int) time.Duration {
	if f.AtOnce <= 0 {
		return 0
	}
	return times(f.Each, float64(results)/float64(f.AtOnce))
}

// deadlines counts what expires, by the minute: few numbers, however many there are.
type deadlines map[int64]int

func (d deadlines) add(at time.Time) {
	if !at.IsZero() {
		d[at.Unix()/60]++
	}
}

// before counts what expires before a time, and says when the first does.
func (d deadlines) before(end time.Time) (count int, first time.Time) {
	for minute, n := range d {
		at := time.Unix(minute*60, 0).UTC()
		if at.After(end) {
			continue
		}
		count += n
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return count, first
}

// retention finds out what would be deleted before it is fetched. Results come at an
// even pace until the last operation ends, and are fetched at an even pace: where
// that is the slower one, each waits a little longer than the one before.
func (m *maker) retention() {
	p := m.plan
	results := 0
	for _, s := range m.sums {
		results += s.items
	}
	took := time.Duration(p.Seconds * float64(time.Second))
	fetched := m.settings.Fetching.takes(results)
	behind := max(0, fetched-took)
	p.Retention.SecondsBehind = behind.Seconds()
	for _, s := range m.sums {
		kept := s.account.Retention
		if kept > 0 && behind > kept {
			p.Retention.AtRisk += s.items - int(float64(s.items)*(float64(kept)/float64(behind)))
		}
	}
	// What is deleted on the day of the run is not safe by a minute.
	end := m.settings.Now.Add(max(took, fetched))
	p.Retention.Expiring, p.Retention.Soonest = m.results.before(end)
	p.Retention.ClipsExpiring, _ = m.clips.before(end)
}
