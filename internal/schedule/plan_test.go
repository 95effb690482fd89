package schedule_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tables must not depend on the machine

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/schedule"
)

func moment(t rapid.TB, text string) time.Time {
	t.Helper()
	m, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// upcoming gives the next n firings, as they read in their zone.
func upcoming(t *testing.T, e schedule.Entry, from string, n int) []string {
	t.Helper()
	preview, err := schedule.Preview(e, moment(t, from), n)
	if err != nil {
		t.Fatal(err)
	}
	list := make([]string, 0, n)
	for _, u := range preview {
		list = append(list, u.At.Format("01-02 15:04:05Z07:00"))
	}
	return list
}

func TestNextAcrossChangesOfTheClocks(t *testing.T) {
	const berlin, york, howe = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
	cases := []struct {
		name, cron, zone, from string
		want                   []string
	}{
		{"Berlin skips 02:00 to 03:00", "30 2 * * *", berlin, "2026-03-27T12:00:00Z", []string{
			"03-28 02:30:00+01:00", "03-29 03:00:00+02:00", "03-30 02:30:00+02:00",
		}},
		{"the hour that Berlin skips is one firing", "*/15 2 * * *", berlin, "2026-03-28T01:40:00Z", []string{
			"03-28 02:45:00+01:00", "03-29 03:00:00+02:00", "03-30 02:00:00+02:00",
		}},
		{"what was skipped meets what was due then anyway", "*/30 * * * *", berlin, "2026-03-29T00:29:00Z", []string{
			"03-29 01:30:00+01:00", "03-29 03:00:00+02:00", "03-29 03:30:00+02:00",
		}},
		{"Berlin shows 02:00 to 03:00 twice", "30 2 * * *", berlin, "2026-10-24T12:00:00Z", []string{
			"10-25 02:30:00+02:00", "10-26 02:30:00+01:00",
		}},
		{"also for who asks between the two", "30 2 * * *", berlin, "2026-10-25T00:30:00Z", []string{"10-26 02:30:00+01:00"}},
		{"an hour that is repeated fires nothing", "*/20 * * * *", berlin, "2026-10-25T00:19:00Z", []string{
			"10-25 02:20:00+02:00", "10-25 02:40:00+02:00", "10-25 03:00:00+01:00", "10-25 03:20:00+01:00",
		}},
		{"asked in the middle of the repeated hour", "*/20 * * * *", berlin, "2026-10-25T01:25:00Z", []string{"10-25 03:00:00+01:00"}},
		{"elapsed time knows no change", "@every 20m", berlin, "2026-10-25T00:19:00Z", []string{
			"10-25 02:20:00+02:00", "10-25 02:40:00+02:00", "10-25 02:00:00+01:00", "10-25 02:20:00+01:00",
		}},
		{"New York skips 02:00 to 03:00", "5 2 * * *", york, "2026-03-07T12:00:00Z", []string{
			"03-08 03:00:00-04:00", "03-09 02:05:00-04:00",
		}},
		{"New York shows 01:00 to 02:00 twice", "30 1 * * *", york, "2026-10-31T12:00:00Z", []string{
			"11-01 01:30:00-04:00", "11-02 01:30:00-05:00",
		}},
		{"Lord Howe skips half an hour", "15 2 * * *", howe, "2026-10-02T20:00:00Z", []string{
			"10-04 02:30:00+11:00", "10-05 02:15:00+11:00",
		}},
		{"and what follows the skipped half stays", "*/10 2 * * *", howe, "2026-10-03T00:00:00Z", []string{
			"10-04 02:30:00+11:00", "10-04 02:40:00+11:00", "10-04 02:50:00+11:00", "10-05 02:00:00+11:00",
		}},
		{"Lord Howe shows half an hour twice", "45 1 * * *", howe, "2026-04-04T00:00:00Z", []string{
			"04-05 01:45:00+11:00", "04-06 01:45:00+10:30",
		}},
		{"the half before it is not repeated", "*/15 1 * * *", howe, "2026-04-04T13:50:00Z", []string{
			"04-05 01:00:00+11:00", "04-05 01:15:00+11:00", "04-05 01:30:00+11:00", "04-05 01:45:00+11:00", "04-06 01:00:00+10:30",
		}},
		{"UTC has no changes", "30 2 * * *", "UTC", "2026-03-28T12:00:00Z", []string{"03-29 02:30:00Z", "03-30 02:30:00Z"}},
		{"an empty zone is UTC", "30 2 * * *", "", "2026-10-24T12:00:00Z", []string{"10-25 02:30:00Z"}},
		{"midnight that does not exist", "@daily", "America/Santiago", "2026-09-05T12:00:00Z", []string{
			"09-06 01:00:00-03:00", "09-07 00:00:00-03:00",
		}},
		{"midnight that comes twice", "@daily", "America/Havana", "2026-10-31T12:00:00Z", []string{
			"11-01 00:00:00-04:00", "11-02 00:00:00-05:00",
		}},
		{"a day that does not exist", "0 9 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", []string{
			"12-29 09:00:00-10:00", "12-31 00:00:00+14:00", "12-31 09:00:00+14:00",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := schedule.Entry{Name: "x", Cron: c.cron, Timezone: c.zone}
			if diff := cmp.Diff(c.want, upcoming(t, e, c.from, len(c.want))); diff != "" {
				t.Errorf("%q in %q after %s (-want +got):\n%s", c.cron, c.zone, c.from, diff)
			}
		})
	}
}

func TestNext(t *testing.T) {
	cases := []struct {
		cron, from string
		want       []string
	}{
		{"0 2 * * *", "2026-11-22T02:00:00Z", []string{"11-23 02:00:00Z"}},
		{"0 2 * * *", "2026-11-22T01:59:59.9Z", []string{"11-22 02:00:00Z"}},
		{"@hourly", "2026-11-22T01:59:59Z", []string{"11-22 02:00:00Z", "11-22 03:00:00Z"}},
		{"@daily", "2026-11-22T01:59:59Z", []string{"11-23 00:00:00Z"}},
		{"@weekly", "2026-11-18T12:00:00Z", []string{"11-22 00:00:00Z", "11-29 00:00:00Z"}},
		{"@monthly", "2026-11-18T12:00:00Z", []string{"12-01 00:00:00Z"}},
		{"0 0 29 2 *", "2026-11-18T12:00:00Z", []string{"02-29 00:00:00Z", "02-29 00:00:00Z"}},
		{"0 12 13 * FRI", "2026-11-10T00:00:00Z", []string{"11-13 12:00:00Z", "11-20 12:00:00Z"}},
		{"0 8-10/2 * * MON-FRI", "2026-11-20T09:00:00Z", []string{"11-20 10:00:00Z", "11-23 08:00:00Z"}},
		{"@every 6h", "2026-11-22T05:59:59Z", []string{"11-22 06:00:00Z", "11-22 12:00:00Z"}},
		{"@every 6h", "2026-11-22T06:00:00Z", []string{"11-22 12:00:00Z"}},
		{"@every 90s", "2026-11-22T00:00:01Z", []string{"11-22 00:01:30Z", "11-22 00:03:00Z"}},
	}
	for _, c := range cases {
		got := upcoming(t, schedule.Entry{Name: "x", Cron: c.cron}, c.from, len(c.want))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q after %s (-want +got):\n%s", c.cron, c.from, diff)
		}
	}
}

func TestWhatIsNoCalendar(t *testing.T) {
	cases := []struct{ cron, zone, want string }{
		{"", "", "cron is missing"},
		{"* * * *", "", "expected exactly 5 fields"},
		{"60 * * * *", "", "above maximum"},
		{"0 0 2 * * *", "", "expected exactly 5 fields"},
		{"@fortnightly", "", "unrecognized descriptor"},
		{"TZ=Europe/Berlin 0 2 * * *", "", "goes into timezone"},
		{"CRON_TZ=UTC 0 2 * * *", "", "goes into timezone"},
		{"0 0 30 2 *", "", "never comes"},
		{"@every 500ms", "", "whole seconds"},
		{"@every 1500ms", "", "whole seconds"},
		{"@every -1h", "", "whole seconds"},
		{"@every soon", "", "soon"},
		{"0 2 * * *", "Europe/Atlantis", "not known"},
		{"0 2 * * *", "Local", "no zone"},
	}
	for _, c := range cases {
		_, err := schedule.Next(schedule.Entry{Name: "x", Cron: c.cron, Timezone: c.zone}, time.Unix(0, 0))
		if fault.CodeOf(err) != fault.Invalid || !strings.Contains(fault.Reason(err), c.want) {
			t.Errorf("Next(%q in %q) = %v, want invalid: %s", c.cron, c.zone, err, c.want)
		}
	}
}

// calendar finds firings by looking at every minute: what clocks show then, whether
// they have shown it before, and what they have left out. It gives those after a
// moment, up to and including another.
func calendar(after, to time.Time, zone *time.Location, matches func(hour, minute int) bool) []time.Time {
	shows := func(t time.Time) time.Time {
		l := t.In(zone)
		return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)
	}
	shown := make(map[time.Time]bool)
	var firings []time.Time
	for m := after.Truncate(time.Minute).Add(-26 * time.Hour); !m.After(to); m = m.Add(time.Minute) {
		now := shows(m)
		fires := !shown[now] && matches(now.Hour(), now.Minute())
		// What clocks go over between two minutes that follow each other.
		for gap := shows(m.Add(-time.Minute)).Add(time.Minute); gap.Before(now); gap = gap.Add(time.Minute) {
			fires = fires || matches(gap.Hour(), gap.Minute())
		}
		shown[now] = true
		if fires && m.After(after) {
			firings = append(firings, m)
		}
	}
	return firings
}

func TestNextIsWhatClocksShow(t *testing.T) {
	// A moment a few hours before each change.
	changes := map[string][]string{
		"Europe/Berlin":       {"2026-03-28T22:00:00Z", "2026-10-24T21:00:00Z", "2026-07-01T00:00:00Z"},
		"America/New_York":    {"2026-03-08T03:00:00Z", "2026-11-01T02:00:00Z"},
		"Australia/Lord_Howe": {"2026-10-03T12:00:00Z", "2026-04-04T12:00:00Z"},
		"America/Santiago":    {"2026-09-06T00:00:00Z", "2026-04-04T23:00:00Z"},
		"UTC":                 {"2026-03-28T22:00:00Z"},
	}
	zones := make([]string, 0, len(changes))
	for name := range changes {
		zones = append(zones, name)
	}
	slices.Sort(zones)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(zones).Draw(t, "zone")
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		minutes := rapid.SliceOfNDistinct(rapid.IntRange(0, 59), 1, 6, rapid.ID).Draw(t, "minutes")
		hours := rapid.SliceOfNDistinct(rapid.IntRange(0, 23), 1, 24, rapid.ID).Draw(t, "hours")
		from := moment(t, rapid.SampledFrom(changes[name]).Draw(t, "from"))
		after := from.Add(time.Duration(rapid.IntRange(0, 8*3600).Draw(t, "seconds later")) * time.Second)
		e := schedule.Entry{Name: "x", Cron: fmt.Sprintf("%s %s * * *", commas(minutes), commas(hours)), Timezone: name}
		got, err := schedule.Next(e, after)
		if err != nil {
			t.Fatal(err)
		}
		want := calendar(after, after.Add(50*time.Hour), zone, func(hour, minute int) bool {
			return slices.Contains(hours, hour) && slices.Contains(minutes, minute)
		})
		if !got.Equal(want[0]) {
			t.Fatalf("Next(%q in %s, %v) = %v, want %v", e.Cron, name, after.In(zone), got, want[0].In(zone))
		}
	})
}

func commas(numbers []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ","), "[]")
}

func TestJitter(t *testing.T) {
	e := schedule.Entry{Name: "nightly", Cron: "*/10 * * * *", Jitter: 4 * time.Minute}
	first, err := schedule.Preview(e, moment(t, "2026-11-22T00:00:00Z"), 500)
	if err != nil {
		t.Fatal(err)
	}
	again, err := schedule.Preview(e, moment(t, "2026-11-22T00:00:00Z"), 500)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the jitter of the same firings differs (-first +again):\n%s", diff)
	}
	var quarters [4]int
	for _, u := range first {
		put := u.Start.Sub(u.At)
		if put < 0 || put >= 4*time.Minute {
			t.Fatalf("firing of %v starts %v later, want less than 4m", u.At, put)
		}
		quarters[int(put/time.Minute)]++
	}
	// 125 expected in each, with a deviation of 10.
	for n, count := range quarters {
		if count < 75 || count > 175 {
			t.Errorf("%d of 500 starts in minute %d of the jitter, want about 125", count, n)
		}
	}
}

func TestJitterNeverReachesTheNextFiring(t *testing.T) {
	e := schedule.Entry{Name: "nightly", Cron: "* * * * *", Jitter: time.Hour}
	preview, err := schedule.Preview(e, moment(t, "2026-11-22T00:00:00Z"), 300)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range preview {
		if u.Start.Before(u.At) || !u.Start.Before(u.At.Add(time.Minute)) {
			t.Errorf("firing of %v starts at %v, want within its minute", u.At, u.Start)
		}
	}
}
