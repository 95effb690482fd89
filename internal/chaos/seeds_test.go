//go:build unix

package chaos_test

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// kept are the seeds that every form runs: those of the file are there because they
// failed once.
func kept(t testing.TB) []uint64 {
	t.Helper()
	file, err := os.Open("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}()
	var seeds []uint64
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("testdata/seeds.txt: %v", err)
		}
		seeds = append(seeds, seed)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return seeds
}

// fresh is a seed that nobody has chosen, of few digits.
func fresh() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.LittleEndian.Uint64(b[:])%1_000_000_000 + 1
}

// TestSeeds runs plans drawn from seeds.
func TestSeeds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	if *seedFlag != 0 {
		seeded(t, *seedFlag)
		return
	}
	for _, seed := range kept(t) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { inParallel(t, seed) })
	}
	began, until := time.Now(), time.Duration(*minutesFlag*float64(time.Minute))
	for n := 0; n < max(1, *seedsFlag) || time.Since(began) < until; n++ {
		seed := fresh()
		t.Run("new "+strconv.FormatUint(seed, 10), func(t *testing.T) {
			if *minutesFlag > 0 {
				seeded(t, seed) // one after the other: the next one is drawn when time is left
				return
			}
			inParallel(t, seed)
		})
	}
}

func inParallel(t *testing.T, seed uint64) {
	t.Helper()
	t.Parallel()
	seeded(t, seed)
}

// seeded is one run.
func seeded(t *testing.T, seed uint64) {
	t.Helper()
	length, songs := 12*time.Second, 12
	if long() {
		length, songs = 30*time.Second, 60
	}
	length = cmp.Or(*lengthFlag, length)
	p := drawn(seed, 3, length)
	t.Logf("seed %d\n%s", seed, p)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again: go test ./internal/chaos -count=1 -v -run 'TestSeeds$' -chaos.seed=%d -chaos.length=%s; keep the seed in internal/chaos/testdata/seeds.txt", seed, length)
		}
	})
	planned(t, seed, p, songs)
}

// planned is a run of a plan: each of three vendors has so many songs to extend.
func planned(t *testing.T, seed uint64, p *plan, songs int) {
	t.Helper()
	r := assemble(t, setup{seed: seed, workers: len(p.shifts), calls: 2, answer: 500})
	r.provider.Faults(p.faults)
	for n, w := range r.workers {
		w.shift = p.shifts[n]
		w.start()
	}
	for _, v := range vendorsNamed("kie", "mountsea", "kkiai") {
		r.submit(v, songs)
	}
	r.suffer(p)
	r.calm()
	r.finish(wait())
	r.judge()
}

// suffer lets a plan happen.
func (r *rig) suffer(p *plan) {
	r.t.Helper()
	began := time.Now()
	for _, e := range p.events {
		if early := e.at - time.Since(began); early > 0 {
			time.Sleep(early) // the plan's time is the machine's
		}
		e.do(r)
	}
	charges := r.provider.Charges()
	byEndpoint := map[string]int{}
	for _, c := range charges {
		byEndpoint[c.Endpoint]++
	}
	r.t.Logf("the faults are over after %s; charges so far: %v", time.Since(began).Round(time.Millisecond), byEndpoint)
}
