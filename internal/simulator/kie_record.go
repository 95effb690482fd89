package simulator

import (
	"cmp"
	"net/http"
	"time"
)

// When a task of the unified route leaves the queue, and when an operation has
// its text and its first track, in percent of the time that it takes.
const (
	queueShare = 10
	textShare  = 30
	firstShare = 70
)

// reached gives the time at which so many percent of an operation are done. It
// is valid once the operation's end is known.
func (o *operation) reached(percent int64) time.Time {
	whole := o.finish.Sub(o.Created).Nanoseconds()
	return o.Created.Add(time.Duration(whole * percent / 100))
}

// songStage gives the status word. CALLBACK_EXCEPTION says nothing about the
// music, which is there: the client's receiver did not take the news.
func (d *dialect) songStage(o *operation, now time.Time) string {
	switch {
	case o.ended && o.Fate != succeeds:
		return d.failure(o).word
	case o.ended && o.deaf:
		return "CALLBACK_EXCEPTION"
	case o.ended:
		return "SUCCESS"
	case o.source != sourceDone || now.Before(o.reached(textShare)) || !d.hasText(o):
		return "PENDING"
	case now.Before(o.reached(firstShare)) || o.Fate != succeeds:
		return "TEXT_SUCCESS"
	}
	return "FIRST_SUCCESS"
}

// hasText says whether an operation gets as far as its text.
func (d *dialect) hasText(o *operation) bool {
	return o.Fate == succeeds || d.failure(o).word == wordGenerate
}

// failure is how an operation came to nothing, in the dialect's words.
type failure struct {
	word    string
	code    int
	message string
}

const (
	wordCreate    = "CREATE_TASK_FAILED"
	wordGenerate  = "GENERATE_AUDIO_FAILED"
	wordSensitive = "SENSITIVE_WORD_ERROR"
)

// The documented codes of failed generations.
const (
	codeCopyrighted = 400
	codeLate        = 408
	codeMatched     = 413
	codeServer      = 500
	codeNotMade     = 501
	codeRefunded    = 531
)

// failures translates the simulator's reasons. Those for unusable audio are
// documented for sunoapi.org alone: 451 and 400. The others have no code for
// it, so they say that the generation failed.
func (d *dialect) failure(o *operation) failure {
	bad, gone := codeNotMade, codeNotMade
	if d.name == "sunoapi" {
		bad, gone = codeCopyrighted, http.StatusUnavailableForLegalReasons
	}
	switch o.FailCode {
	case codeNotFound:
		return failure{wordCreate, gone, "Can't fetch the uploaded audio."}
	case codeNotAudio:
		return failure{wordCreate, bad, "Unsupported or damaged audio file."}
	case codeOutOfRange:
		return failure{wordGenerate, bad, "continueAt must be less than the duration of the uploaded audio."}
	case codeTooLong:
		return failure{wordCreate, bad, "The uploaded audio is too long."}
	case codeTimeout:
		return failure{wordGenerate, codeLate, "Timeout."}
	case codeCopyrighted:
		return failure{wordSensitive, codeCopyrighted, "Lyrics contained copyrighted material."}
	case codeMatched:
		return failure{wordCreate, codeMatched, "Uploaded audio matches existing work of art."}
	case codeRefunded:
		return failure{wordGenerate, codeRefunded, "Sorry, the generation failed due to an issue. Your credits have been refunded. Please try again."}
	}
	if diceOf(o.ID).pick("failure", 0, 2) == 0 {
		return failure{wordCreate, codeServer, "An unexpected error occurred while processing the request."}
	}
	return failure{wordGenerate, codeNotMade, "Audio generation failed."}
}

// song is a track as callbacks and the unified route spell it.
type song struct {
	ID                   string   `json:"id"`
	AudioURL             string   `json:"audio_url"`
	SourceAudioURL       string   `json:"source_audio_url"`
	StreamAudioURL       string   `json:"stream_audio_url"`
	SourceStreamAudioURL string   `json:"source_stream_audio_url"`
	ImageURL             string   `json:"image_url"`
	SourceImageURL       string   `json:"source_image_url"`
	Prompt               string   `json:"prompt"`
	ModelName            string   `json:"model_name"`
	Title                string   `json:"title"`
	Tags                 string   `json:"tags"`
	CreateTime           string   `json:"createTime"`
	Duration             *float64 `json:"duration"`
}

// recordSong is the same as record-info spells it.
type recordSong struct {
	ID                   string   `json:"id"`
	AudioURL             string   `json:"audioUrl"`
	SourceAudioURL       string   `json:"sourceAudioUrl"`
	StreamAudioURL       string   `json:"streamAudioUrl"`
	SourceStreamAudioURL string   `json:"sourceStreamAudioUrl"`
	ImageURL             string   `json:"imageUrl"`
	SourceImageURL       string   `json:"sourceImageUrl"`
	Prompt               string   `json:"prompt"`
	ModelName            string   `json:"modelName"`
	Title                string   `json:"title"`
	Tags                 string   `json:"tags"`
	CreateTime           string   `json:"createTime"`
	Duration             *float64 `json:"duration"`
}

// songs describes the tracks there are by now: those that play only as a stream
// yet have an empty audio_url and no duration. The caller holds mu.
func (d *dialect) songs(s *Simulator, o *operation, now time.Time) []song {
	// What "source" means is told in two ways: the uploaded file, or the result
	// at its place of origin. A client that takes it for the result is wrong
	// for half of the seeds.
	uploaded := s.dice.pick(d.name+"/source is the upload", 0, 2) == 0
	songs := make([]song, o.Tracks)
	for i := range songs {
		id := o.clip(i)
		file, stream, cover := o.Base+"/cdn/"+id+".mp3", o.Base+"/cdn/"+id, o.Base+"/cdn/image_"+id+".jpeg"
		songs[i] = song{
			ID: id, StreamAudioURL: stream, SourceStreamAudioURL: stream, ImageURL: cover, SourceImageURL: cover,
			Prompt: o.Prompt, ModelName: d.models[o.Model].upstream, Title: o.title(), Tags: o.Tags, CreateTime: s.zoneless(o.Created),
		}
		if !o.finished(i, now) {
			continue
		}
		length := seconds(s.lengthOf(clipRef{o, i}))
		songs[i].AudioURL, songs[i].SourceAudioURL, songs[i].Duration = file, file, &length
		if uploaded {
			songs[i].SourceAudioURL = o.AudioURL
		}
	}
	return songs
}

// finished says whether a track's file is whole: the first one is before the
// operation ends.
func (o *operation) finished(track int, now time.Time) bool {
	if o.ended || o.Fate != succeeds || o.source != sourceDone {
		return o.ended && o.Fate == succeeds
	}
	return track == 0 && o.stage(now) == "FIRST_SUCCESS"
}

// zoneless writes a time as the documents' example does, without its zone: by
// seed it is that of Greenwich or that of the company.
func (s *Simulator) zoneless(t time.Time) string {
	east := []int{0, 8}[s.dice.pick("kie/zone", 0, 2)]
	return t.UTC().Add(time.Duration(east) * time.Hour).Format(time.DateTime)
}

// record is the data of record-info.
type record struct {
	TaskID        string `json:"taskId"`
	ParentMusicID string `json:"parentMusicId"`
	Param         string `json:"param"`
	Response      any    `json:"response"`
	Status        string `json:"status"`
	Type          string `json:"type"`
	// OperationType is in the schema and not in the example.
	OperationType string `json:"operationType,omitempty"`
	ErrorCode     any    `json:"errorCode"`
	ErrorMessage  any    `json:"errorMessage"`
}

func (d *dialect) record(c *call) answer {
	return d.ask(c, false, func(o *operation, now time.Time) any { return d.recorded(c.sim, o, now) })
}

// ask answers a question about one operation of one of the two routes.
func (d *dialect) ask(c *call, unified bool, describe func(*operation, time.Time) any) answer {
	id := c.http.URL.Query().Get("taskId")
	if id == "" {
		return c.missing("taskId")
	}
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.advance(now)
	o := s.state.operations[id]
	if o == nil || o.Provider != d.name || o.Unified != unified || !c.owns(o.Account) {
		if o == nil {
			c.unknown()
		}
		// 404 and 422 are both documented; neither says for what.
		return c.no([]int{http.StatusNotFound, http.StatusUnprocessableEntity}[s.dice.pick(d.name+"/unknown task", 0, 2)], "recordInfo is null")
	}
	if c.tooOften(o, unified, now) {
		return c.no(statusTooMany, "")
	}
	s.asked(o, now)
	return d.success(describe(o, now))
}

// recorded describes an operation. The caller holds mu.
func (d *dialect) recorded(s *Simulator, o *operation, now time.Time) record {
	r := record{TaskID: o.ID, Param: o.Param, Status: d.songStage(o, now), Type: "upload_extend"}
	if s.dice.pick(d.name+"/type", 0, 2) == 0 {
		r.Type, r.OperationType = "GENERATE", "upload_extend"
	}
	if o.ended && o.Fate != succeeds {
		why := d.failure(o)
		r.ErrorCode, r.ErrorMessage = why.code, why.message
		return r
	}
	r.Response = d.response(s, o, r.Status, now)
	return r
}

// response is null before there is anything: until the text, or by seed until
// the first track. By seed it is an object or, as was seen too, one in a string.
func (d *dialect) response(s *Simulator, o *operation, stage string, now time.Time) any {
	silent := s.dice.pick(d.name+"/no response before a track", 0, 2) == 0
	if stage == "PENDING" || silent && stage == "TEXT_SUCCESS" {
		return nil
	}
	songs := d.songs(s, o, now)
	data := make([]recordSong, len(songs))
	for i := range songs {
		data[i] = recordSong(songs[i])
	}
	response := map[string]any{"taskId": o.ID, "sunoData": data}
	if s.dice.pick(d.name+"/response in a string", 0, 3) > 0 {
		return response
	}
	return string(encode(response))
}

// longest gives how long the uploaded audio of an operation may be; 0 is any.
func (o *operation) longest() time.Duration {
	d := dialects[o.Provider]
	if d == nil {
		return 0
	}
	return cmp.Or(d.models[o.Model].longest, longestUpload)
}

// streams says whether an operation's tracks can be listened to already.
func (o *operation) streams(now time.Time) bool {
	word := o.stage(now)
	return !o.ended && (word == "stream" || word == "TEXT_SUCCESS" || word == "FIRST_SUCCESS")
}

// expired says whether results have been deleted. Only KIE's family documents
// when.
func (o *operation) expired(s *Simulator, now time.Time) bool {
	return dialects[o.Provider] != nil && o.ended && now.Sub(o.finish) >= s.opts.KIE.Retention
}
