package bulk

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// warnings are what a person should know before the run, the worst first.
func (p *Plan) warnings() []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, a := range p.Accounts {
		if a.Short > 0 {
			add("%s/%s is %s credits short: there are enough for %s of %s", a.Provider, a.Account, number(a.Short), count(a.Fits), plural(a.Items, "input"))
		}
	}
	if n := p.Retention.AtRisk; n > 0 {
		add("%s would be deleted by the provider before being fetched: fetching ends %s after the last one is done", plural(n, "result"), span(p.Retention.SecondsBehind))
	}
	if n := p.Retention.Expiring; n > 0 {
		add("paid for, in no archive, and deleted before this run is over: %s, from %s on; archive them first", plural(n, "result"), p.Retention.Soonest.Format("2006-01-02 15:04 UTC"))
	}
	if n := p.Retention.ClipsExpiring; n > 0 {
		add("deleted perhaps before their turn, and then uploaded and paid for again: %s", plural(n, "clip"))
	}
	if p.PricesAssumed {
		add("prices are assumed: the provider publishes none, and the configuration (credits) does not state them")
	}
	if n := p.Inputs.Unread; n > 0 {
		add("only parts were read of %s: what was paid for is not recognised there", plural(n, "remote input"))
	}
	return all
}

// number writes credits as people do, never as 1e+06.
func number(credits float64) string {
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(credits, 'f', -1, 64), ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	grouped := ""
	for len(whole) > 3 {
		grouped = "," + whole[len(whole)-3:] + grouped
		whole = whole[:len(whole)-3]
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + grouped + fraction
}

func count(n int) string { return number(float64(n)) }

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return count(n) + " " + word + "s"
}

// span writes seconds as people do: 40 s, 12 min, 3 h 20 min, 9 days.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	days, hours, minutes := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	case days > 0 && hours > 0:
		return fmt.Sprintf("%s %d h", plural(days, "day"), hours)
	case days > 0:
		return plural(days, "day")
	case minutes > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	}
	return fmt.Sprintf("%d h", hours)
}

// size writes bytes as people do.
func size(bytes int64) string {
	switch {
	case bytes < 1000:
		return fmt.Sprintf("%d bytes", bytes)
	case bytes < 1_000_000:
		return fmt.Sprintf("%.0f KB", float64(bytes)/1e3)
	case bytes < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
}

// amount is a number that may not be known.
func amount(credits *float64, unknown string) string {
	if credits == nil {
		return unknown
	}
	return number(*credits)
}
