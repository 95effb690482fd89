package tasks

import "time"

// Poll is the payload of audio:poll.
type Poll struct{ Step }

// AudioPoll asks once about one operation, then sleeps or moves on.
var AudioPoll = Type[Poll]{
	Name:   "audio:poll",
	Policy: Policy{Queue: QueuePoll, MaxRetry: manyRetries, Timeout: time.Minute, Retention: 15 * time.Minute},
}
