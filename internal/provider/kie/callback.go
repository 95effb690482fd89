package kie

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const (
	// replayWindow is how old a signed callback may be. The documents name none. A
	// delivery is repeated after 1, 5 and 15 minutes, each time after up to 15 s of
	// waiting, and whether a repetition is signed anew is not documented: a tighter
	// window could refuse the last.
	replayWindow = 25 * time.Minute
	// skew is how far the provider's clock may be ahead of ours.
	skew = 5 * time.Minute
)

// webhook is the key that callbacks are signed with, where one is set, and how old
// they may be.
type webhook struct {
	key    []byte
	window time.Duration
}

func newWebhook(c provider.Config) webhook {
	return webhook{[]byte(c.WebhookKey), cmp.Or(c.ReplayWindow, replayWindow)}
}

// notice is a callback's body. The id is in data.task_id; the other places are
// those of the family's other products.
type notice struct {
	Code        rest.Text       `json:"code"`
	Data        json.RawMessage `json:"data"`
	TaskID      rest.Text       `json:"taskId"`
	TaskIDSnake rest.Text       `json:"task_id"`
}

type noticeData struct {
	TaskID      rest.Text `json:"taskId"`
	TaskIDSnake rest.Text `json:"task_id"`
	Type        rest.Text `json:"callbackType"`
	TypeSnake   rest.Text `json:"callback_type"`
	State       rest.Text `json:"state"`
}

// ReadCallback reads a delivery. The signature covers the task's id and the time,
// and nothing else: whoever has seen one can put any body beside it.
func (d *driver) ReadCallback(header http.Header, body []byte, now time.Time) (*provider.Callback, error) {
	op := d.op("ReadCallback")
	var n notice
	if json.Unmarshal(body, &n) != nil {
		return nil, fault.Uncharged(fault.Malformed, op, errors.New("the body is not a JSON object"))
	}
	var data noticeData
	_ = json.Unmarshal(n.Data, &data) // a failure's data may be null or anything
	id := string(cmp.Or(data.TaskIDSnake, data.TaskID, n.TaskIDSnake, n.TaskID))
	kind := string(cmp.Or(data.Type, data.TypeSnake, data.State))
	if id == "" || kind == "" && n.Code == "" {
		return nil, fault.Uncharged(fault.Malformed, op, errors.New("the body names no task, or neither a stage nor a code"))
	}
	if err := d.webhook.verify(header, id, now); err != nil {
		return nil, fault.Uncharged(fault.Denied, op, err)
	}
	c := &provider.Callback{OperationID: id, Kind: kind, Signed: len(d.webhook.key) > 0}
	switch {
	// A failure has a code of its own, and not everywhere a type of its own.
	case n.Code != "" && n.Code != "200":
		c.Kind, c.Done = cmp.Or(kind, "error"), true
	case kind == "complete", kind == "error", kind == "success", kind == "fail":
		c.Done = true
	}
	return c, nil
}

// verify checks X-Webhook-Signature: the base64 of HMAC-SHA256 over the id, a dot
// and the seconds of X-Webhook-Timestamp. Without a key there is nothing to check.
func (w webhook) verify(header http.Header, id string, now time.Time) error {
	if len(w.key) == 0 {
		return nil
	}
	stamp, signature := header.Get("X-Webhook-Timestamp"), header.Get("X-Webhook-Signature")
	if stamp == "" || signature == "" {
		return errors.New("the callback is not signed")
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errors.New("the callback's timestamp is not a number of seconds")
	}
	given, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return errors.New("the callback's signature is not base64")
	}
	mac := hmac.New(sha256.New, w.key)
	mac.Write([]byte(id + "." + stamp))
	if !hmac.Equal(given, mac.Sum(nil)) {
		return errors.New("the callback's signature is wrong")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > w.window || age < -min(skew, w.window) {
		return errors.New("the callback's timestamp is outside of the replay window")
	}
	return nil
}
