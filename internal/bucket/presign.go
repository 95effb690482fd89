package bucket

import (
	"context"
	"fmt"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// MaxPresign is how long a signed URL can be good at most, by S3's rules.
const MaxPresign = 7 * 24 * time.Hour

// Presign gives a URL by which anybody can read the object for ttl, from one
// second to MaxPresign. It says nothing about whether the object is there. The
// URL is a secret: it must not be logged or stored. Without keys, Presign is
// invalid.
func (b *Bucket) Presign(ctx context.Context, name string, ttl time.Duration) (string, error) {
	const op = "bucket.Presign"
	if err := checkName(name); err != nil {
		return "", failed(fault.Invalid, op, err)
	}
	if ttl < time.Second || ttl > MaxPresign {
		return "", failed(fault.Invalid, op, fmt.Errorf("a signed URL can be good for 1s to %s, and not for %s", MaxPresign, ttl))
	}
	if !b.signs {
		return "", failed(fault.Invalid, op, fmt.Errorf("%s: a URL is signed with keys, and there are none", b.Address(name)))
	}
	signed, err := b.core.PresignedGetObject(ctx, b.name, name, ttl, nil)
	if err != nil {
		return "", b.fault(op, name, err)
	}
	return signed.String(), nil
}
