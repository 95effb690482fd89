package simulator

import (
	"errors"
	"io"

	"github.com/segue-audio/segue/internal/audio"
)

var errUnusable = errors.New("truncated or silent")

// probe is the one place where the simulator depends on how audio is examined.
// It takes what the real services take: whole files that play for some time.
func probe(r io.Reader) (source, error) {
	found, err := audio.Probe(r)
	if err != nil {
		return source{}, err
	}
	if found.Truncated || found.Duration <= 0 {
		return source{}, errUnusable
	}
	return source{SHA256: found.SHA256, Length: found.Duration}, nil
}
