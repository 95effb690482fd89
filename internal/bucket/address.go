package bucket

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/segue-audio/segue/internal/fault"
)

// Address is what s3://bucket/key or s3://bucket/prefix names.
type Address struct {
	Bucket string
	// Key is all that follows the bucket's slash, as it stands: a name, the
	// beginning of names, or empty.
	Key string
}

// Parse reads an address. Nothing is decoded: % ? and # are characters of the
// key, as in Amazon's own tools. What is no address is invalid.
func Parse(text string) (Address, error) {
	rest, ok := strings.CutPrefix(text, "s3://")
	if !ok {
		return Address{}, failed(fault.Invalid, "bucket.Parse", errors.New("an S3 address begins with s3://"))
	}
	name, key, _ := strings.Cut(rest, "/")
	err := checkBucket(name)
	if err == nil && key != "" {
		err = checkName(key)
	}
	if err != nil {
		return Address{}, failed(fault.Invalid, "bucket.Parse", err)
	}
	return Address{Bucket: name, Key: key}, nil
}

// String gives the address as a person would write it.
func (a Address) String() string { return "s3://" + a.Bucket + "/" + a.Key }

// Address gives the address of an object of this bucket.
func (b *Bucket) Address(name string) string { return Address{Bucket: b.name, Key: name}.String() }

// bucketName is what Amazon allows, and capitals and underscores, which some
// servers and the oldest buckets have.
var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$`)

func checkBucket(name string) error {
	switch {
	case name == "":
		return errors.New("the S3 address names no bucket; write s3://bucket or s3://bucket/prefix")
	case strings.Contains(name, "@"):
		// Not quoted: it is somebody's key.
		return errors.New("the S3 address contains a user name; keys are settings of their own")
	case !bucketName.MatchString(name), strings.Contains(name, ".."):
		return fmt.Errorf("%.80q cannot be a bucket's name", name)
	}
	return nil
}

// maxName is S3's limit, in bytes.
const maxName = 1024

// checkName refuses what S3 has no name for.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("an object's name is empty")
	case len(name) > maxName:
		return fmt.Errorf("the object's name %.40q… is longer than %d bytes", name, maxName)
	case !utf8.ValidString(name), strings.ContainsRune(name, 0):
		return fmt.Errorf("%.80q cannot be an object's name", name)
	}
	return nil
}
