package kkiai

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// ReadCallback reads a delivery to notify_hook: the task as it is fetched, in its
// envelope or alone. No signature is documented, so none is looked for.
func (d *driver) ReadCallback(_ http.Header, body []byte, _ time.Time) (*provider.Callback, error) {
	var delivered either[task]
	if json.Unmarshal(body, &delivered) != nil || delivered.value.id() == "" {
		return nil, fault.Uncharged(fault.Malformed, "kkiai.ReadCallback", errors.New("the delivery names no task"))
	}
	t := delivered.value
	return &provider.Callback{
		OperationID: t.id(), Kind: d.api.Clean(string(t.Status)), Done: t.Status == "SUCCESS" || t.Status == "FAILURE",
	}, nil
}
