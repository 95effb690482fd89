package tasks

import "time"

// Upload is the payload of audio:upload.
type Upload struct{ Step }

// AudioUpload gives one item's audio to the provider. It ends with a clip, or with an operation to wait for. Thirty minutes carry 500 MB at 300 KB/s.
var AudioUpload = Type[Upload]{
	Name:   "audio:upload",
	Policy: Policy{Queue: QueueUpload, MaxRetry: manyRetries, Timeout: 30 * time.Minute, Retention: 15 * time.Minute},
}
