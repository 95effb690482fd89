// Package provider defines what Segue asks of a music provider, and nothing of
// how any one of them answers.
//
// A [Driver] speaks to one provider with one account's credential. Drivers are
// flat: one call in, one HTTP exchange (or a fixed, documented sequence of free
// ones) out, one mapping back. They do not retry, sleep, log, or keep state:
// the queue retries, the session's state remembers, the handlers log.
//
// What makes Segue safe rests on one promise of every driver: the Charge of a
// returned error is fault.ChargeNone only where the provider surely did not bill.
// A doubt is fault.ChargeUnknown, which is the zero value.
//
// The conformance suite in drivertest checks the promises written here.
package provider

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Driver is one provider, seen through one account. All methods are safe for
// concurrent use and return a *fault.Error on failure:
//
//	denied       the credential is not accepted
//	invalid      the provider says that the request itself is wrong
//	rejected     refused on the merits of the audio or the text
//	not_found    the operation or clip is unknown there
//	exhausted    a rate, a concurrency or the credits; see Scope and RetryAfter
//	unavailable  down, in maintenance, or unreachable
//	timeout      no answer before the context's deadline
//	malformed    an answer that does not say what it must
//	canceled     the context was canceled
//
// No error contains the credential, a signed URL, or a body that might echo them.
type Driver interface {
	// Upload gives the provider one item's audio and returns what it answered:
	// a clip when the audio is usable at once, or an operation to poll. Where
	// Info.Uploads.Paid is set this request is billed on acceptance, and the
	// driver sends it exactly once.
	Upload(ctx context.Context, r *Upload) (*Accepted, error)

	// Extend submits one continuation: the paid request, sent exactly once. The
	// answer always names an operation.
	Extend(ctx context.Context, r *Extend) (*Accepted, error)

	// Poll asks once about an operation. It is free and may be repeated at will.
	// An operation that failed is not an error: it is a State with Failure set. An
	// unknown word from the provider is a malformed error, never a success.
	Poll(ctx context.Context, op *Operation) (*State, error)

	// Credits returns the account's balance, in the provider's credits.
	Credits(ctx context.Context) (float64, error)
}

// SessionOpener is implemented by drivers whose provider binds the clips of a
// batch to one of its own accounts (MountSea's upload session). Opening is free:
// an opened session that is then not used costs nothing.
type SessionOpener interface {
	// OpenSession returns the provider's id of a new session.
	OpenSession(ctx context.Context) (string, error)
}

// CallbackReader is implemented by drivers whose provider reports to a URL.
type CallbackReader interface {
	// ReadCallback reads one delivery: its headers, its raw body, and when it came.
	// Where a webhook key is set, an unsigned or wrongly signed delivery, or one
	// outside of the replay window, is denied. A body that is no callback is
	// malformed. What a callback says is a hint, never a result: not even a
	// signature covers all of it everywhere, so the operation is polled.
	ReadCallback(header http.Header, body []byte, now time.Time) (*Callback, error)
}

// Callback is what a delivery says.
type Callback struct {
	// OperationID is the provider's id of what it is about.
	OperationID string
	// Kind is the provider's own word for the stage: "text", "first", "complete",
	// "error".
	Kind string
	// Done says that it reports the operation's end.
	Done bool
	// Signed says that a signature was checked and is right.
	Signed bool
}

// Upload is the request to give a provider one item's audio.
type Upload struct {
	// Session is the provider's own session id; empty unless the driver is a
	// SessionOpener.
	Session string
	// Audio is the file.
	Audio Audio
	// CallbackURL is where the provider may report; empty when it cannot reach us.
	CallbackURL string
	// Checkpoint is what an earlier attempt saved; nil at the first. A driver
	// whose upload has several free parts resumes from it.
	Checkpoint json.RawMessage
	// Save stores a checkpoint durably before it returns. It is never nil, and a
	// checkpoint never holds a secret.
	Save func(ctx context.Context, checkpoint json.RawMessage) error
}

// Audio is one file as a driver sees it.
type Audio struct {
	// URL is where the provider can fetch the file; it may expire within hours.
	// It is always set when the driver's Info.Uploads.By is ByURL, and otherwise
	// when the source itself is a URL.
	URL string
	// Open streams the file's bytes from the beginning. It is set when
	// Info.Uploads.By is ByBytes.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Name is a file name without directories, safe to show to the provider.
	Name string
	// Format is the container, as package audio names it: "mp3", "wav", …
	Format string
	// Size is the number of bytes, -1 when it is not known.
	Size int64
	// SHA256 is the hex digest of the bytes; empty when it is not known.
	SHA256 string
	// Duration is the playing time.
	Duration time.Duration
}

// Extend is the request for one continuation.
type Extend struct {
	// Session is the provider's own session id, as in Upload.
	Session string
	// Clip is what the upload ended with.
	Clip Clip
	// Params is how to continue.
	Params Params
	// CallbackURL is where the provider may report; empty when it cannot reach us.
	CallbackURL string
}

// Params is how a piece is to be continued, in Segue's own words. Zero values
// mean "not said": the driver leaves them out or sends what its provider demands.
type Params struct {
	// Model is the provider's name of a model.
	Model string `json:"model,omitempty"`
	// ContinueAt is where the continuation starts, in seconds from the
	// beginning, greater than 0 and less than the audio's duration.
	ContinueAt float64 `json:"continueAt,omitempty"`
	// Instrumental asks for music without singing.
	Instrumental bool `json:"instrumental,omitempty"`
	// Prompt is the lyrics, or what the music should be like.
	Prompt string `json:"prompt,omitempty"`
	// Style is a list of genres and moods.
	Style string `json:"style,omitempty"`
	// Title names the result.
	Title string `json:"title,omitempty"`
	// NegativeTags is what to avoid.
	NegativeTags string `json:"negativeTags,omitempty"`
	// VocalGender is "m", "f" or empty; a tendency, not a guarantee.
	VocalGender string `json:"vocalGender,omitempty"`
	// StyleWeight, WeirdnessConstraint and AudioWeight are 0 to 1 in steps of 0.01.
	StyleWeight         *float64 `json:"styleWeight,omitempty"`
	WeirdnessConstraint *float64 `json:"weirdnessConstraint,omitempty"`
	AudioWeight         *float64 `json:"audioWeight,omitempty"`
	// PersonaID applies a persona made earlier at the same account.
	PersonaID string `json:"personaId,omitempty"`
}

// Accepted is a provider's answer to a request that it took on.
type Accepted struct {
	// OperationID is the provider's id of what it started. Empty only when Clip
	// is set and there is nothing to wait for.
	OperationID string
	// Clip is set when the audio is usable at once.
	Clip *Clip
	// Checkpoint replaces the step's checkpoint when it is not nil.
	Checkpoint json.RawMessage
}

// Clip is a piece of audio that the provider holds.
type Clip struct {
	// ID is the provider's clip id; empty where a clip is only a URL.
	ID string `json:"id,omitempty"`
	// URL is where the provider keeps it, for providers that extend by URL.
	URL string `json:"url,omitempty"`
	// Expires is when the provider forgets it; zero when it does not say.
	Expires time.Time `json:"expires,omitzero"`
}

// Operation names something that a provider is doing for us.
type Operation struct {
	// ID is the provider's id of it.
	ID string
	// Step is the step that started it: "upload" or "extend". Answers to the same
	// endpoint differ by it.
	Step string
	// Session is the provider's own session id, as in Upload.
	Session string
	// Checkpoint is the step's checkpoint.
	Checkpoint json.RawMessage
}

// State is what a provider says of an operation.
type State struct {
	// Done says that the operation has ended, well or not.
	Done bool
	// Failure is why it ended badly: rejected, invalid, not_found, timeout or
	// unavailable, with the Charge it caused. Nil while it runs and when it ended well.
	Failure error
	// Word is the provider's own status word, for people to read.
	Word string
	// Clip is the result of an upload that ended well.
	Clip *Clip
	// Tracks is the result of an extend that ended well, at least one, in the
	// provider's order. While an operation runs it may hold what is there so far.
	Tracks []Track
}

// Track is one finished result.
type Track struct {
	// AudioID is the provider's id of it.
	AudioID string `json:"audioId"`
	// AudioURL is where to download it; it expires.
	AudioURL string `json:"audioUrl"`
	// ImageURL is its cover, or empty.
	ImageURL string `json:"imageUrl,omitempty"`
	// Title, Tags and Model are as the provider gives them.
	Title string `json:"title,omitempty"`
	Tags  string `json:"tags,omitempty"`
	Model string `json:"model,omitempty"`
	// DurationSeconds is the playing time it declares; 0 when it does not.
	DurationSeconds float64 `json:"durationSeconds,omitempty"`
}

// Config is what a driver is opened with. The wiring fills it from the
// configuration; a driver reads nothing else.
type Config struct {
	// BaseURL, StagingURL and CreditsURL are the provider's hosts; empty means
	// the documented one.
	BaseURL    string
	StagingURL string
	CreditsURL string
	// APIKey is the account's credential.
	APIKey string
	// WebhookKey signs the provider's callbacks; empty when none is set there.
	WebhookKey string
	// ReplayWindow is how old a signed callback may be; 0 means the driver's own
	// default.
	ReplayWindow time.Duration
	// Options are settings of this one driver, such as which of two documented
	// routes to take. An unknown name or value is invalid.
	Options map[string]string
	// HTTP sends the requests; it must not retry and must not follow redirects
	// of requests that carry a body.
	HTTP *http.Client
}
