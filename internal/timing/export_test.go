package timing

import "time"

// Ended is ended, for the test that measures what is learned from estimates.
func (c Curve) Ended(noticed time.Duration, b Bounds) time.Duration { return c.ended(noticed, b) }
