package config

import (
	"fmt"
	"strings"
)

// didYouMean names the candidate nearest to word. Where nothing is near enough
// to be a slip of the finger it lists what there is instead, if that is short.
func didYouMean(word string, candidates []string) string {
	if best, ok := nearest(word, candidates); ok {
		return fmt.Sprintf("did you mean %s?", best)
	}
	if len(candidates) == 0 || len(candidates) > 16 {
		return "see `segue config print` for the keys there are"
	}
	return "there are " + strings.Join(candidates, ", ")
}

// nearest finds the candidate with the fewest edits, the first among equals. It
// gives up beyond a third of the word, and beyond four: a long word is not
// misspelt more often than a short one.
func nearest(word string, candidates []string) (string, bool) {
	best, fewest := "", min(max(2, len(word)/3), 4)+1
	for _, candidate := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(candidate)); d < fewest {
			best, fewest = candidate, d
		}
	}
	return best, best != ""
}

// distance counts insertions, deletions, replacements and swaps of neighbours
// (optimal string alignment): a swap is the commonest slip, and counts once.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
