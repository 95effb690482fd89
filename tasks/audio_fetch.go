package tasks

import "time"

// Fetch is the payload of audio:fetch.
type Fetch struct{ Step }

// AudioFetch downloads, verifies and archives one item's results.
var AudioFetch = Type[Fetch]{
	Name:   "audio:fetch",
	Policy: Policy{Queue: QueueFetch, MaxRetry: manyRetries, Timeout: 30 * time.Minute, Retention: 15 * time.Minute},
}
