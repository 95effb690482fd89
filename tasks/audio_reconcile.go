package tasks

import "time"

// Reconcile is the payload of audio:reconcile.
type Reconcile struct{ Step }

// AudioReconcile looks once for evidence of what became of a paid request whose answer was lost, then sleeps or moves on.
var AudioReconcile = Type[Reconcile]{
	Name:   "audio:reconcile",
	Policy: Policy{Queue: QueuePoll, MaxRetry: manyRetries, Timeout: time.Minute, Retention: 15 * time.Minute},
}
