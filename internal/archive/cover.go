package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
)

// MaxCover is the longest cover image that is kept, in bytes. It is held in memory
// while it is examined.
const MaxCover = 10 << 20

const coverOp = "archive.KeepCover"

// KeepCover downloads a cover image and files it beside a track, in place of an
// earlier one, and returns the name that it got: name with .jpg, .png or .webp, by
// its content. client is an egress client: the URL comes from outside.
//
// Its errors are Archive.Keep's, malformed for what is none of these images, is
// longer than MaxCover, or may have been cut. A track is worth having without its
// cover, so callers report them and go on.
func KeepCover(ctx context.Context, a Archive, client *http.Client, address, name string) (file string, err error) {
	target, err := url.Parse(address)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return "", failed(fault.Invalid, coverOp, errors.New("the cover's URL is not an http or https URL"))
	}
	image, err := download(ctx, client, target)
	if err != nil {
		return "", err
	}
	extension := imageKind(image)
	if extension == "" {
		return "", failed(fault.Malformed, coverOp, fmt.Errorf("%s: what came is no JPEG, PNG or WebP image", target.Host))
	}
	file = name + extension
	return file, a.Put(ctx, file, bytes.NewReader(image))
}

// download brings an image into memory, whole.
func download(ctx context.Context, client *http.Client, target *url.URL) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, failed(fault.Invalid, coverOp, errors.New("the cover's URL cannot be asked for"))
	}
	request.Header.Set("User-Agent", agent)
	response, err := client.Do(request)
	if err != nil {
		return nil, egress.Fault(coverOp, target.Host, err)
	}
	defer func() { _ = response.Body.Close() }() // all that matters of it was read
	switch {
	case response.StatusCode != http.StatusOK:
		return nil, refusal(coverOp, response, target.Host)
	case response.ContentLength > MaxCover:
		return nil, tooLong(target.Host)
	case response.ContentLength < 0 && response.ProtoMajor == 1 && len(response.TransferEncoding) == 0 && !response.Uncompressed:
		// Its end would be wherever the connection ends.
		return nil, failed(fault.Malformed, coverOp, fmt.Errorf("%s does not say how long the cover is", target.Host))
	}
	image, err := io.ReadAll(io.LimitReader(response.Body, MaxCover+1))
	if err != nil {
		return nil, egress.Fault(coverOp, target.Host, err)
	}
	if len(image) > MaxCover {
		return nil, tooLong(target.Host)
	}
	return image, nil
}

func tooLong(host string) error {
	return failed(fault.Malformed, coverOp, fmt.Errorf("%s: the cover is longer than %d bytes", host, MaxCover))
}

// imageKind gives the extension of an image, by how its file begins; empty for
// anything else.
func imageKind(content []byte) string {
	switch {
	case bytes.HasPrefix(content, []byte("\xff\xd8\xff")):
		return ".jpg"
	case bytes.HasPrefix(content, []byte("\x89PNG\r\n\x1a\n")):
		return ".png"
	case len(content) >= 12 && string(content[:4]) == "RIFF" && string(content[8:12]) == "WEBP":
		return ".webp"
	}
	return ""
}
