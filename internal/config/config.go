// Package config turns a file, the environment and flags into one [Config].
//
// A key is looked up in this order: flag, environment, file, default. Every key
// has a default, every misspelt key or variable is an error that names the
// nearest valid one, and all problems are reported at once, each with the line,
// variable or flag it came from. A secret is given as itself, as a file or as
// the name of a variable, and no way of printing a Config reveals it.
//
// The package reads the configuration file and the secret files it names, and
// nothing else: the environment, the flags and the home directory are handed to
// [Load] by the command. The documented file is [Example].
package config

import (
	"log/slog"
	"time"
)

// Config is the whole configuration, complete and checked. Keys are the
// snake_case names in the tags; example.yaml documents each of them.
type Config struct {
	Redis     Redis               `mapstructure:"redis"`
	StateDir  string              `mapstructure:"state_dir"`
	Providers map[string]Provider `mapstructure:"providers" validate:"dive"`
	Worker    Worker              `mapstructure:"worker"`
	Server    Server              `mapstructure:"server"`
	Staging   Staging             `mapstructure:"staging"`
	Archive   Archive             `mapstructure:"archive"`
	S3        S3                  `mapstructure:"s3"`
	Schedules map[string]Schedule `mapstructure:"schedules" validate:"dive"`
	Security  Security            `mapstructure:"security"`
	Log       Log                 `mapstructure:"log"`

	// File is the configuration file that was read; empty when there is none.
	File string `mapstructure:"-"`
	// Warnings are what works but deserves a word: a key file that everybody can
	// read, a key that travels unencrypted.
	Warnings []Finding `mapstructure:"-"`

	// builtin holds the drivers that nobody configured, ready by their own name.
	builtin map[string]Provider
	values  []Value
	missing Findings
	// again loads it anew. A function prints nothing of the environment that it knows.
	again func() (*Config, error)
	// looks is what each file looked like that was read, or looked for.
	looks map[string]string
}

// Redis says where the queue and the state live.
type Redis struct {
	// URL is empty for the embedded Redis, else redis:// rediss:// unix://
	// redis-sentinel:// or redis-cluster://. It may hold a password.
	URL URL `mapstructure:"url"`
	// RequireDurable refuses to spend credits while Redis would forget.
	RequireDurable bool `mapstructure:"require_durable" default:"true"`
	// WaitReplicas is how many replicas must have the intent to pay before the paid
	// request leaves; -1 is one if there are any.
	WaitReplicas int `mapstructure:"wait_replicas" default:"-1" validate:"min=-1,max=100"`
}

// Provider is one configured remote service.
type Provider struct {
	// Name is the key under providers.
	Name string `mapstructure:"-"`
	// Driver is the code that speaks to it; the provider's own name by default.
	Driver string `mapstructure:"driver"`
	// BaseURL, StagingURL and CreditsURL are its hosts; empty means that the
	// driver knows.
	BaseURL    string             `mapstructure:"base_url" validate:"weburl"`
	StagingURL string             `mapstructure:"staging_url" validate:"weburl"`
	CreditsURL string             `mapstructure:"credits_url" validate:"weburl"`
	Accounts   map[string]Account `mapstructure:"accounts" validate:"dive"`
	Limits     Limits             `mapstructure:"limits"`
	Credits    Credits            `mapstructure:"credits"`
	Models     map[string]Model   `mapstructure:"models" validate:"dive"`
	Poll       Poll               `mapstructure:"poll"`
	Evidence   Evidence           `mapstructure:"evidence"`
	// ReplayWindow is how old a signed callback may be; 0 is the driver's own.
	ReplayWindow time.Duration `mapstructure:"replay_window" default:"0s" validate:"min=0"`
	// Options are settings of the one driver, each as name=value: which of two
	// documented ways to take. The driver refuses what it does not know.
	Options []string `mapstructure:"options" validate:"dive,contains=="`
}

// Account is one credential at a provider. APIKey and WebhookKey hold the keys
// themselves, wherever they came from; Err says when there is none to use.
type Account struct {
	// Name is the key under accounts.
	Name           string `mapstructure:"-"`
	APIKey         Secret `mapstructure:"api_key"`
	APIKeyFile     string `mapstructure:"api_key_file"`
	APIKeyEnv      string `mapstructure:"api_key_env" validate:"varname"`
	WebhookKey     Secret `mapstructure:"webhook_key"`
	WebhookKeyFile string `mapstructure:"webhook_key_file"`
	WebhookKeyEnv  string `mapstructure:"webhook_key_env" validate:"varname"`
	// Budget is the most credits this account may ever spend; nil is no limit.
	Budget *float64 `mapstructure:"budget" validate:"omitnil,min=0"`
	// DailyBudget is the most credits it may spend in one day, by UTC; nil is no limit.
	DailyBudget *float64 `mapstructure:"daily_budget" validate:"omitnil,min=0"`

	missing error
}

// Limits is what a provider allows one account.
type Limits struct {
	// Submit is the rate at which operations may be started, by endpoint.
	Submit Rate `mapstructure:"submit" default:"none"`
	// InFlight is how many operations may run there at once; 0 is any number.
	InFlight int `mapstructure:"in_flight" default:"0" validate:"min=0"`
	// PollPerOperation is the rate of questions about one operation.
	PollPerOperation Rate `mapstructure:"poll_per_operation" default:"3/s"`
}

// Credits is what a step costs, in the provider's credits.
type Credits struct {
	Upload float64 `mapstructure:"upload" default:"0" validate:"min=0"`
	Extend float64 `mapstructure:"extend" default:"0" validate:"min=0"`
}

// Model overrides the driver's facts about one model; lengths are in
// characters, and 0 leaves what the driver knows.
type Model struct {
	MaxPrompt int           `mapstructure:"max_prompt" default:"0" validate:"min=0"`
	MaxStyle  int           `mapstructure:"max_style" default:"0" validate:"min=0"`
	MaxTitle  int           `mapstructure:"max_title" default:"0" validate:"min=0"`
	MaxUpload time.Duration `mapstructure:"max_upload" default:"0s" validate:"min=0"`
}

// Poll is how often to ask about an operation, and for how long.
type Poll struct {
	// Min is the wait before the first question and between close ones.
	Min time.Duration `mapstructure:"min" default:"2s" validate:"min=100ms"`
	// Max is the longest wait between two questions.
	Max time.Duration `mapstructure:"max" default:"30s"`
	// Deadline is when an operation that has not ended is given up.
	Deadline time.Duration `mapstructure:"deadline" default:"1h"`
}

// Evidence is how the outcome of a paid request whose answer was lost is looked for.
type Evidence struct {
	// Horizon is how long at most before a person is asked; 0 is as long as the
	// provider's own records may still tell.
	Horizon time.Duration `mapstructure:"horizon" default:"0s" validate:"min=0"`
	// Lag is how long after a request the provider's lists and its balance surely
	// show it; 0 is what its driver assumes.
	Lag time.Duration `mapstructure:"lag" default:"0s" validate:"min=0"`
}

// Worker sets up the processes that execute tasks.
type Worker struct {
	Concurrency Concurrency `mapstructure:"concurrency"`
	Bandwidth   Bandwidth   `mapstructure:"bandwidth"`
	// Drain is how long running steps may take to finish after a signal. The
	// supervisor's kill timeout must be longer.
	Drain time.Duration `mapstructure:"drain" default:"25s" validate:"min=1s"`
	// GiveUp is how long a step may wait for a provider that is down.
	GiveUp time.Duration `mapstructure:"give_up" default:"24h" validate:"min=1m"`
}

// Concurrency is how many tasks of a kind one worker process executes at once.
type Concurrency struct {
	// Upload and Fetch move files.
	Upload int `mapstructure:"upload" default:"4" validate:"min=1,max=10000"`
	Fetch  int `mapstructure:"fetch" default:"4" validate:"min=1,max=10000"`
	// Calls are small requests: extend, poll, control.
	Calls int `mapstructure:"calls" default:"64" validate:"min=1,max=10000"`
}

// Bandwidth is how fast one process moves files at most, all transfers together.
type Bandwidth struct {
	// Upload is of files to providers, also of those that they fetch from this server.
	Upload Speed `mapstructure:"upload" default:"none"`
	// Fetch is of results.
	Fetch Speed `mapstructure:"fetch" default:"none"`
}

// Server sets up the HTTP side.
type Server struct {
	// Addr is host:port of the API, callbacks, dashboard, asynqmon and metrics.
	Addr string `mapstructure:"addr" default:"127.0.0.1:8080" validate:"hostport"`
	// PublicURL is what providers can reach; empty means polling alone.
	PublicURL string `mapstructure:"public_url" validate:"weburl"`
	// Tokens are required unless Addr is loopback.
	Tokens map[string]Token `mapstructure:"tokens" validate:"dive"`
}

// Token lets one client use the HTTP API.
type Token struct {
	// Name is the key under tokens.
	Name      string   `mapstructure:"-"`
	Token     Secret   `mapstructure:"token"`
	TokenFile string   `mapstructure:"token_file"`
	TokenEnv  string   `mapstructure:"token_env" validate:"varname"`
	Scopes    []string `mapstructure:"scopes" default:"submit,read" validate:"min=1,dive,oneof=read submit operate"`

	missing error
}

// Staging says how a local file becomes a URL that a provider can fetch.
type Staging struct {
	// URL is provider, file or s3://bucket/prefix.
	URL string `mapstructure:"url" default:"provider"`
	// Lifetime is how long such a URL works.
	Lifetime time.Duration `mapstructure:"lifetime" default:"24h" validate:"min=1m"`
}

// Archive says where results are kept.
type Archive struct {
	// URL is file:///directory or s3://bucket/prefix; it is never empty here.
	URL string `mapstructure:"url"`
	// Layout is the template of the tracks' names; see archive.ParseLayout.
	Layout string `mapstructure:"layout" default:"{session}/{index}-{stem}-{n}.{ext}"`
	// Tags writes titles and ids into the files, Covers keeps cover images, Sources a
	// copy of what was sent.
	Tags    bool `mapstructure:"tags" default:"false"`
	Covers  bool `mapstructure:"covers" default:"false"`
	Sources bool `mapstructure:"sources" default:"false"`
}

// S3 is the object store behind every s3:// URL.
type S3 struct {
	// Endpoint is the server; empty is AWS.
	Endpoint      string `mapstructure:"endpoint" validate:"weburl"`
	Region        string `mapstructure:"region" default:"us-east-1"`
	PathStyle     bool   `mapstructure:"path_style" default:"false"`
	AccessKey     Secret `mapstructure:"access_key"`
	AccessKeyFile string `mapstructure:"access_key_file"`
	AccessKeyEnv  string `mapstructure:"access_key_env" validate:"varname"`
	SecretKey     Secret `mapstructure:"secret_key"`
	SecretKeyFile string `mapstructure:"secret_key_file"`
	SecretKeyEnv  string `mapstructure:"secret_key_env" validate:"varname"`

	missing error
}

// Schedule is a cron entry over a source of files.
type Schedule struct {
	// Name is the key under schedules.
	Name string `mapstructure:"-"`
	// Cron has five fields, or is @daily, @hourly, @every 1h.
	Cron     string `mapstructure:"cron"`
	Timezone string `mapstructure:"timezone" default:"UTC"`
	// Source is an absolute path or glob, or a URL.
	Source   string `mapstructure:"source"`
	Provider string `mapstructure:"provider"`
	Account  string `mapstructure:"account"`
	// Extend is nil when the files are only uploaded.
	Extend *Extend `mapstructure:"extend"`
	// Overlap says what a firing does while the one before it runs.
	Overlap string `mapstructure:"overlap" default:"skip" validate:"oneof=skip queue allow"`
	// CatchUp is how late a missed firing may still start.
	CatchUp time.Duration `mapstructure:"catch_up" default:"0s" validate:"min=0"`
	// Jitter is the most that a start is randomly put off by.
	Jitter time.Duration `mapstructure:"jitter" default:"0s" validate:"min=0"`
	// Budget is the most credits one firing may spend; nil is no limit.
	Budget *float64 `mapstructure:"budget" validate:"omitnil,min=0"`
	// DailyBudget is the most credits that the firings of one day of Timezone may spend;
	// nil is no limit.
	DailyBudget *float64 `mapstructure:"daily_budget" validate:"omitnil,min=0"`
	// AllFiles carries every file each time, and pays for it each time. Without it a firing
	// carries those that are new.
	AllFiles bool `mapstructure:"all_files" default:"false"`
	// Again carries what is new also when it was paid for before, by a run or by another
	// schedule.
	Again bool `mapstructure:"again" default:"false"`
	// Archive is where the results go instead of to archive.url: an absolute directory,
	// file:///directory or s3://bucket/prefix; empty is archive.url.
	Archive string `mapstructure:"archive"`
	// Priority is the sessions' share of their account while others wait.
	Priority  string `mapstructure:"priority" default:"normal" validate:"oneof=low normal high"`
	OnUnknown string `mapstructure:"on_unknown" default:"hold" validate:"oneof=hold resubmit"`
	// Notify is refused: nothing is sent yet.
	Notify string `mapstructure:"notify"`
	Paused bool   `mapstructure:"paused" default:"false"`
}

// Extend is how a schedule continues its files.
type Extend struct {
	Model string `mapstructure:"model"`
	// ContinueAt is in seconds; a negative one counts from the end.
	ContinueAt          *float64 `mapstructure:"continue_at" validate:"omitnil,ne=0"`
	Instrumental        bool     `mapstructure:"instrumental" default:"false"`
	Prompt              string   `mapstructure:"prompt"`
	Style               string   `mapstructure:"style"`
	Title               string   `mapstructure:"title"`
	NegativeTags        string   `mapstructure:"negative_tags"`
	VocalGender         string   `mapstructure:"vocal_gender" validate:"omitempty,oneof=m f"`
	StyleWeight         *float64 `mapstructure:"style_weight" validate:"omitnil,min=0,max=1"`
	WeirdnessConstraint *float64 `mapstructure:"weirdness_constraint" validate:"omitnil,min=0,max=1"`
	AudioWeight         *float64 `mapstructure:"audio_weight" validate:"omitnil,min=0,max=1"`
	PersonaID           string   `mapstructure:"persona_id"`
}

// Security holds what is refused unless somebody names it.
type Security struct {
	// AllowPrivateHosts lists hosts, host:port pairs and networks (CIDR) that
	// audio sources and results may come from although they are private.
	AllowPrivateHosts []string `mapstructure:"allow_private_hosts" validate:"dive,hostornet"`
}

// Log sets up the log on stderr.
type Log struct {
	Level  string `mapstructure:"level" default:"info" validate:"oneof=debug info warn error"`
	Format string `mapstructure:"format" default:"text" validate:"oneof=text json"`
}

// Leveled gives Level as slog knows it.
func (l Log) Leveled() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo
	}
	return level
}
