package bulk

import "time"

// takes is how many seconds so many operations take at an account's limits, at the
// least, and what they wait for. Every upload and every extend is one request and
// holds one place while it runs; an item's extend follows its upload.
func (a Account) takes(uploads, extends int) (seconds float64, limit string) {
	requests := uploads + extends
	if requests == 0 {
		return 0, ""
	}
	upload, extend := a.Upload.Seconds(), a.Extend.Seconds()
	last := extend
	if extends == 0 {
		last = upload
	}
	seconds, limit = last, "operation"
	if uploads > 0 && extends > 0 {
		seconds += upload
	}
	if a.Submit > 0 && a.Per > 0 {
		// The first Submit requests leave at once, the last of them wait for every
		// period before theirs.
		if sent := float64((requests-1)/a.Submit)*a.Per.Seconds() + last; sent > seconds {
			seconds, limit = sent, "rate"
		}
	}
	if a.InFlight > 0 {
		if held := (float64(uploads)*upload + float64(extends)*extend) / float64(a.InFlight); held > seconds {
			seconds, limit = held, "in flight"
		}
	}
	return seconds, limit
}

// takes is how many seconds fetching so many results takes.
func (f Fetching) takes(results int) float64 {
	if f.AtOnce <= 0 {
		return 0
	}
	return float64(results) * f.Each.Seconds() / float64(f.AtOnce)
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
	fetched := m.settings.Fetching.takes(results)
	behind := max(0, fetched-p.Seconds)
	p.Retention.SecondsBehind = behind
	for _, s := range m.sums {
		if kept := s.account.Retention.Seconds(); kept > 0 && behind > kept {
			p.Retention.AtRisk += s.items - int(float64(s.items)*kept/behind)
		}
	}
	end := m.settings.Now.Add(time.Duration(min(max(p.Seconds, fetched), longest.Seconds()) * float64(time.Second)))
	p.Retention.Expiring, p.Retention.Soonest = m.results.before(end)
	p.Retention.ClipsExpiring, _ = m.clips.before(end)
}

// longest is more than any provider keeps anything, and less than overflows.
const longest = 100 * 365 * 24 * time.Hour
