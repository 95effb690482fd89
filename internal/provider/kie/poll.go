package kie

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

// sensitive is the word for lyrics that a filter stopped.
const sensitive = "SENSITIVE_WORD_ERROR"

// record is what either route says of a task: record-info's status and response,
// or recordInfo's state and resultJson.
type record struct {
	TaskID      rest.Text       `json:"taskId"`
	TaskIDSnake rest.Text       `json:"task_id"`
	Status      string          `json:"status"`
	State       string          `json:"state"`
	Response    json.RawMessage `json:"response"`
	ResultJSON  json.RawMessage `json:"resultJson"`
	ErrorCode   rest.Text       `json:"errorCode"`
	ErrorText   rest.Text       `json:"errorMessage"`
	FailCode    rest.Text       `json:"failCode"`
	FailText    rest.Text       `json:"failMsg"`
}

// Poll asks once.
func (d *driver) Poll(ctx context.Context, o *provider.Operation) (*provider.State, error) {
	if o.ID == "" || o.Step != "extend" {
		return nil, fault.Uncharged(fault.Invalid, d.op("Poll"), fmt.Errorf("operation %q of step %q cannot be asked about", o.ID, o.Step))
	}
	path := "api/v1/generate/record-info"
	if d.routeOf(o) == jobs {
		path = "api/v1/jobs/recordInfo"
	}
	var out struct {
		Code    rest.Text       `json:"code"`
		Message rest.Text       `json:"msg"`
		Data    json.RawMessage `json:"data"`
	}
	if err := d.asking.JSON(ctx, d.op("Poll"), http.MethodGet, path+"?taskId="+url.QueryEscape(o.ID), nil, &out); err != nil {
		return nil, err
	}
	var r record
	err := json.Unmarshal(out.Data, &r)
	known := err == nil && cmp.Or(r.Status, r.State) != ""
	switch {
	// A verdict that comes with the task's record is about the task, and one that
	// comes alone is about the question, unless it could not be.
	case known && out.Code != "200":
		r.ErrorCode, r.ErrorText = cmp.Or(r.ErrorCode, out.Code), cmp.Or(r.ErrorText, out.Message)
	case d.outcomes[string(out.Code)].final:
		return d.failed("", string(out.Code), string(out.Message)), nil
	case out.Code != "200" && out.Code != "":
		return nil, d.refused(string(out.Code))
	case !known:
		return nil, d.malformed(errors.New("the answer has no record of the task"))
	}
	return d.state(o, r)
}

// routeOf is the route that the task was ordered on; one that a person names
// (resolve) is looked for where tasks are ordered now.
func (d *driver) routeOf(o *provider.Operation) string {
	var n note
	if json.Unmarshal(o.Checkpoint, &n) != nil {
		return d.route
	}
	return cmp.Or(n.Route, d.route)
}

func (d *driver) malformed(err error) error {
	return fault.Uncharged(fault.Malformed, d.op("Poll"), err)
}

// state reads the words of both routes, and of sunoapi.org's quickstart, which has
// two of its own.
func (d *driver) state(o *provider.Operation, r record) (*provider.State, error) {
	// An answer about another task, from a confused cache, would hand one item's
	// paid result to another.
	if id := cmp.Or(r.TaskID, r.TaskIDSnake); id != "" && !strings.EqualFold(string(id), o.ID) {
		return nil, d.malformed(errors.New("the answer is about another task"))
	}
	switch word := cmp.Or(r.Status, r.State); word {
	case "PENDING", "TEXT_SUCCESS", "FIRST_SUCCESS", "GENERATING", "waiting", "queuing", "generating":
		return &provider.State{Word: word, Tracks: tracksSoFar(r)}, nil
	case "SUCCESS", "success":
		return d.succeeded(word, r)
	case "CALLBACK_EXCEPTION":
		return d.unheard(word, r)
	case "CREATE_TASK_FAILED", "GENERATE_AUDIO_FAILED", sensitive, "FAILED", "fail":
		return d.failed(word, r.code(), string(cmp.Or(r.ErrorText, r.FailText))), nil
	default:
		return nil, d.malformed(fmt.Errorf("status %q", d.api.Clean(word)))
	}
}

func (r record) code() string { return string(cmp.Or(r.ErrorCode, r.FailCode)) }

func (d *driver) succeeded(word string, r record) (*provider.State, error) {
	songs := r.songs()
	if len(songs) == 0 {
		return nil, d.malformed(errors.New("a successful task without tracks"))
	}
	if !complete(songs) {
		return nil, d.malformed(errors.New("a track of a successful task without id or audio address"))
	}
	return &provider.State{Done: true, Word: word, Tracks: tracks(songs)}, nil
}

// unheard is a task whose callback could not be delivered: that says nothing of
// its music. With all its tracks it has ended well, with an error code badly, and
// otherwise it goes on: the callbacks for the text and the first track come before
// its end.
func (d *driver) unheard(word string, r record) (*provider.State, error) {
	songs := r.songs()
	if len(songs) > 0 && complete(songs) {
		return &provider.State{Done: true, Word: word, Tracks: tracks(songs)}, nil
	}
	if _, listed := d.outcomes[r.code()]; listed {
		return d.failed(word, r.code(), string(r.ErrorText)), nil
	}
	return &provider.State{Word: word, Tracks: tracksSoFar(r)}, nil
}
