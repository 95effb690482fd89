package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/doctor"
)

// TestLateFinding: the worst level that any file has passed decides.
func TestLateFinding(t *testing.T) {
	const cure = "see to the archive and the workers (their log names the sessions); segue results SESSION --out DIR saves a session's files meanwhile"
	for name, c := range map[string]struct {
		late []int
		want []doctor.Finding
	}{
		"nothing": {[]int{0, 0, 0}, nil},
		"half":    {[]int{7, 0, 0}, []doctor.Finding{{Check: "c", Level: doctor.Warning, Text: "7 finished files not archived, and 50 % of the time is over for which kie keeps them", Cure: cure}}},
		"more":    {[]int{7, 1, 0}, []doctor.Finding{{Check: "c", Level: doctor.Warning, Text: "1 finished file not archived, and 80 % of the time is over for which kie keeps them", Cure: cure}}},
		"nearly":  {[]int{7, 3, 2}, []doctor.Finding{{Check: "c", Level: doctor.Error, Text: "2 finished files not archived, and 95 % of the time is over for which kie keeps them", Cure: cure}}},
	} {
		if diff := cmp.Diff(c.want, lateFinding("c", "kie", c.late)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
