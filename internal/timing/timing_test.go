package timing_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/timing"
)

var advice = timing.Bounds{Min: 2 * time.Second, Max: 30 * time.Second}

// watch plays one operation in virtual time: it asks when the curve says so, at
// whole seconds as the queue does, and says how late the end was noticed and with
// how many questions.
func watch(curve timing.Curve, took time.Duration) (noticed time.Duration, questions int) {
	age := time.Duration(0)
	for {
		age = (age + curve.Pause(age, advice)).Truncate(time.Second)
		questions++
		if age >= took {
			return age, questions
		}
	}
}

// TestLearnedDetection is the measure: operations of 90 s ± 30 s, half of them
// noticed within 2 s, with at most 8 questions each on average. What is learned
// is estimated from when ends were noticed, as in life.
func TestLearnedDetection(t *testing.T) {
	for seed := range uint64(20) {
		dice := rand.New(rand.NewPCG(seed, 1))
		var learned, lags []time.Duration
		questions, measured := 0, 0
		for n := range 1200 {
			took := 60*time.Second + time.Duration(dice.Int64N(int64(60*time.Second)))
			curve := timing.Curve(slices.Clone(learned))
			slices.Sort(curve)
			noticed, asked := watch(curve, took)
			if learned = append(learned, curve.Ended(noticed, advice)); len(learned) > 64 {
				learned = learned[1:]
			}
			if n >= 200 {
				lags = append(lags, noticed-took)
				questions += asked
				measured++
			}
		}
		slices.Sort(lags)
		median, mean := lags[len(lags)/2], float64(questions)/float64(measured)
		if median > 2*time.Second || mean > 8 {
			t.Errorf("seed %d: median lag %v with %.2f questions, want at most 2s with at most 8", seed, median, mean)
		}
		if seed == 0 {
			t.Logf("median lag %v, p95 %v, %.2f questions", median, lags[len(lags)*95/100], mean)
		}
	}
}

func TestWithoutKnowledgeTheAdviceHolds(t *testing.T) {
	cases := []struct{ age, want time.Duration }{
		{0, 2 * time.Second},
		{9 * time.Second, 2 * time.Second},
		{50 * time.Second, 10 * time.Second},
		{10 * time.Minute, 30 * time.Second},
	}
	for _, c := range cases {
		if got := (timing.Curve{time.Second}).Pause(c.age, advice); got != c.want {
			t.Errorf("Pause at %v = %v, want %v", c.age, got, c.want)
		}
	}
}

func TestPauseNeverUndercutsTheMinimum(t *testing.T) {
	alike := make(timing.Curve, 20)
	for n := range alike {
		alike[n] = 300 * time.Millisecond
	}
	for age := time.Duration(0); age < 2*time.Hour; age += 777 * time.Millisecond {
		if got := alike.Pause(age, advice); got < advice.Min || got > advice.Max {
			t.Fatalf("Pause at %v = %v, want within %v", age, got, advice)
		}
	}
}

func TestBookIsSharedAndForgetsTheOld(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	kind := timing.Kind("kie", "extend", "V5")
	for n := range 100 {
		timing.NewBook(rdb).Observe(t.Context(), kind, time.Duration(n)*time.Second, timing.Bounds{})
	}
	if n := rdb.LLen(t.Context(), "segue:timing:kie|extend|V5").Val(); n != 64 {
		t.Errorf("%d times are kept, want 64", n)
	}
	// The shortest of the last 64 took 36 s: no question before a few can be done.
	if got := timing.NewBook(rdb).Pause(t.Context(), kind, 0, advice); got < 38*time.Second || got > 44*time.Second {
		t.Errorf("first question after %v, want shortly after 39 s", got)
	}
	if got := timing.NewBook(rdb).Pause(t.Context(), "other", 0, advice); got != 2*time.Second {
		t.Errorf("first question about an unknown kind after %v, want 2s", got)
	}
}

func TestTypicalNeedsEnoughToTell(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	kind := timing.Kind("kie", "extend", "V5")
	for n := range 7 {
		timing.NewBook(rdb).Observe(t.Context(), kind, time.Duration(n+1)*10*time.Second, timing.Bounds{})
	}
	if got, ok := timing.NewBook(rdb).Typical(t.Context(), kind); ok {
		t.Errorf("seven operations typically take %v; want not known", got)
	}
	timing.NewBook(rdb).Observe(t.Context(), kind, 80*time.Second, timing.Bounds{})
	if got, ok := timing.NewBook(rdb).Typical(t.Context(), kind); !ok || got != 20*time.Second {
		t.Errorf("operations of 10 s to 80 s, which nobody asked about before, typically take %v, %v; want 20s: the fourth ended between 0 s and 40 s", got, ok)
	}
}
