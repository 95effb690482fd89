package tasks

import "time"

// Extend is the payload of audio:extend.
type Extend struct{ Step }

// AudioExtend submits one item's continuation: the paid step. Its timeout is longer than the claim, which is longer than the request.
var AudioExtend = Type[Extend]{
	Name:   "audio:extend",
	Policy: Policy{Queue: QueueExtend, MaxRetry: manyRetries, Timeout: 3 * time.Minute, Retention: 15 * time.Minute},
}
