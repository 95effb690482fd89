package bulk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// keyVersion is part of every key. What was stored under another version is not
// found, and is paid for again: a change needs a migration of the index.
const keyVersion = 1

// Request is what a result is addressed by: whatever decides what comes out, and
// nothing else. Two equal requests are the same song, paid for once.
type Request struct {
	// SHA256 is the hex digest of the audio's bytes.
	SHA256 string
	// Provider is the provider's name in the configuration.
	Provider string
	// Account is empty where the result is of use at any account of the provider;
	// a clip is of use only where it was uploaded, and a persona where it was made.
	Account string
	// Params is how the audio is continued, as the provider is told: with the model
	// that is meant by default, and the place to continue at in seconds from the
	// beginning. Nil means that it is only uploaded.
	Params *provider.Params
}

// Key is the request's name in the index: 64 hex digits. It is the SHA-256 of
// Canonical. A request that cannot be one is invalid.
func (r Request) Key() (string, error) {
	text, err := r.Canonical()
	if err != nil {
		return "", err
	}
	return digest(text), nil
}

// Canonical writes the request in the one form that its key is made of: JSON
// without blanks, keys in the order of their bytes, what was not said left out.
// Seconds and weights are rounded to a millionth, where they carry no sense but
// noise: 187.4 - 5 and 182.4 are one place.
func (r Request) Canonical() ([]byte, error) {
	const op = "bulk.Request"
	if err := checkSum(r.SHA256, r.Provider); err != nil {
		return nil, fault.Uncharged(fault.Invalid, op, err)
	}
	fields := map[string]any{"v": keyVersion, "of": "result", "sha256": r.SHA256, "provider": r.Provider}
	if r.Account != "" {
		fields["account"] = r.Account
	}
	if r.Params != nil {
		params := *r.Params
		if params.ContinueAt < 0 {
			return nil, fault.Uncharged(fault.Invalid, op, errors.New("continue-at counts from the end; it must be resolved"))
		}
		params.ContinueAt = rounded(params.ContinueAt)
		for _, weight := range []**float64{&params.StyleWeight, &params.WeirdnessConstraint, &params.AudioWeight} {
			if *weight != nil {
				*weight = new(rounded(**weight))
			}
		}
		fields["params"] = params
	}
	text, err := canonical(fields)
	if err != nil {
		return nil, fault.Uncharged(fault.Invalid, op, err)
	}
	return text, nil
}

// ClipKey is the name in the index of the audio's clip at an account: 64 hex digits.
func ClipKey(sum, providerName, account string) (string, error) {
	err := checkSum(sum, providerName)
	if err == nil && account == "" {
		err = errors.New("a clip belongs to an account, and none is named")
	}
	var text []byte
	if err == nil {
		text, err = canonical(map[string]any{"v": keyVersion, "of": "clip", "sha256": sum, "provider": providerName, "account": account})
	}
	if err != nil {
		return "", fault.Uncharged(fault.Invalid, "bulk.ClipKey", err)
	}
	return digest(text), nil
}

var sumForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

func checkSum(sum, providerName string) error {
	switch {
	case !sumForm.MatchString(sum):
		return fmt.Errorf("%.80q is not the SHA-256 of anything", sum)
	case providerName == "":
		return errors.New("no provider is named")
	}
	return nil
}

// canonical sorts the keys of every object, also of those that are structs now.
func canonical(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(plain); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func rounded(x float64) float64 { return math.Round(x*1e6) / 1e6 }

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
