package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/schedule"
)

// candidate is a good file that the schedule has not carried by its name: under key, and
// by what it holds.
type candidate struct {
	item         enqueue.Item
	key, content string
}

// fresh leaves out what the schedule has carried already, without opening it.
func (c *carrier) fresh(ctx context.Context, part []source.Input) (fresh []source.Input, keys []string, err error) {
	if err := c.states(ctx, part); err != nil {
		return nil, nil, err
	}
	named := make([]source.Input, 0, len(part))
	names := make([]string, 0, len(part))
	for _, in := range part {
		key, err := identity(in)
		if err != nil {
			c.leave(ctx, source.Finding{Origin: in.Origin, Source: in.Source, Reason: bare(err).Error(), Code: fault.NotFound})
			continue
		}
		named, names = append(named, in), append(names, key)
	}
	if c.Entry.AllFiles {
		return named, names, nil
	}
	take, err := c.book.Fresh(ctx, c.Schedule, c.Fire, names)
	if err != nil {
		return nil, nil, err
	}
	done := make([]bool, len(names))
	if c.repeated {
		if done, err = c.book.Carried(ctx, c.Schedule, c.Fire, names); err != nil {
			return nil, nil, err
		}
	}
	for n := range named {
		if take[n] && !done[n] {
			fresh, keys = append(fresh, named[n]), append(keys, names[n])
		}
	}
	return fresh, keys, nil
}

// statsAtOnce is how many objects are asked about together.
const statsAtOnce = 16

// states finds the state of objects that were named and not listed, as rows of a manifest
// are: one that was replaced since is another. What is wrong with one is said when it is
// looked at.
func (c *carrier) states(ctx context.Context, part []source.Input) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(statsAtOnce)
	for n := range part {
		in := &part[n]
		if !isObject(in.URL) || in.ETag != "" {
			continue
		}
		group.Go(func() error {
			store, name, err := c.app.buckets.object(c.config().S3, in.URL)
			if err != nil {
				return nil //nolint:nilerr // see above
			}
			found, err := store.Stat(ctx, name)
			if code := fault.CodeOf(err); code == fault.Unavailable || code == fault.Timeout || code == fault.Canceled {
				return err
			}
			in.ETag = found.ETag
			return nil
		})
	}
	return group.Wait()
}

// probe looks at files, and leaves out what is no audio or nothing for the provider.
func (c *carrier) probe(ctx context.Context, fresh []source.Input, keys []string) ([]candidate, error) {
	inspector, err := c.app.inspector(c.config())
	if err != nil {
		return nil, err
	}
	// Read whole once in each state: what was paid for is recognised in it, here and by others.
	inspector.Object, inspector.URL = c.recognised, patiently(c.recognisedAddress)
	good := make([]candidate, 0, len(fresh))
	n := -1
	for in, finding := range inspector.All(ctx, eachOf(fresh)) {
		n++
		if finding != nil {
			c.leave(ctx, *finding)
			continue
		}
		item := itemOf(in, &c.sub)
		if wrong := c.unfit(&item, in); len(wrong) > 0 {
			for _, finding := range wrong {
				c.leave(ctx, finding)
			}
			continue
		}
		content := contentKey(in, keys[n])
		item.Key = digestOf(content)
		good = append(good, candidate{item, keys[n], content})
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.CodeOf(err), "segue.bulk", err)
	}
	return good, nil
}

// unfit says why the provider would not take an item.
func (c *carrier) unfit(item *enqueue.Item, in source.Inspected) []source.Finding {
	if item.Extend != nil && item.Extend.ContinueAt == 0 {
		return []source.Finding{{Origin: in.Origin, Source: in.Source, Reason: "continue-at is missing", Code: fault.Invalid}}
	}
	return check(c.info, &c.asks, item, in)
}

// unlike leaves out what was carried before under another name, or was only touched:
// it would be paid for again. Of those that are alike and new it takes the first. marks
// are the names by which what is carried, or was, is remembered.
func (c *carrier) unlike(ctx context.Context, good []candidate) (items []enqueue.Item, marks []string, err error) {
	contents := make([]string, len(good))
	for n := range good {
		contents[n] = good[n].content
	}
	var take []bool
	before := make([]bool, len(good))
	if c.Entry.AllFiles {
		take = slices.Repeat([]bool{true}, len(good))
	} else {
		if take, err = c.book.Fresh(ctx, c.Schedule, c.Fire, contents); err != nil {
			return nil, nil, err
		}
		if before, err = c.book.Carried(ctx, c.Schedule, "", contents); err != nil {
			return nil, nil, err
		}
	}
	paid, err := c.paid(ctx, good, take)
	if err != nil {
		return nil, nil, err
	}
	taken := make(map[string]bool, len(good))
	for n, one := range good {
		switch {
		case paid[n] != nil:
			c.spare(ctx, c.items+len(items), &one.item, paid[n])
		case take[n] && !taken[one.item.Key]:
			if !c.affords(&one.item) {
				continue
			}
			taken[one.item.Key] = true
			items = append(items, one.item)
		case take[n] || before[n]:
			c.twice++
		default:
			continue // another firing is about to carry it, and may yet fail
		}
		marks = append(marks, one.key, one.content)
	}
	return items, marks, c.spares.keep(ctx, c.system)
}

// identity tells one state of an input from another without opening it, together with
// what its row of a manifest asks for. What lies on the web is known by its address.
func identity(in source.Input) (string, error) {
	asked, err := json.Marshal(in.Overrides)
	if err != nil {
		return "", err
	}
	suffix := "\n" + string(asked)
	if in.Overrides.IsZero() {
		suffix = ""
	}
	if in.Path == "" {
		return schedule.ObjectKey(unsigned(in.URL), in.ETag) + suffix, nil
	}
	info, err := os.Stat(in.Path)
	if err != nil {
		return "", err
	}
	return schedule.FileKey(in.Path, info.Size(), info.ModTime()) + suffix, nil
}

// contentKey is the same for files of the same content that are asked for in the same
// way; key is what stands in where the content is not known.
func contentKey(in source.Inspected, key string) string {
	var sum [sha256.Size]byte
	if n, err := hex.Decode(sum[:], []byte(in.Probed.SHA256)); err != nil || n != len(sum) {
		return key
	}
	if in.Overrides.IsZero() {
		return schedule.ContentKey(sum)
	}
	asked, err := json.Marshal(in.Overrides)
	if err != nil {
		return key
	}
	return schedule.ContentKey(sum) + "\n" + string(asked)
}

// digestOf is the key of an item in its session: short, and no address.
func digestOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// unsigned is an address without what is new in it each time that it is signed.
func unsigned(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.RawQuery == "" {
		return address
	}
	query := u.Query()
	for name := range query {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") || strings.HasPrefix(lower, "x-goog-") || slices.Contains(signatures, lower) {
			query.Del(name)
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// signatures are the parameters that the common ways to sign a URL add.
var signatures = []string{
	"awsaccesskeyid", "expires", "googleaccessid", "key-pair-id", "policy", "se", "sig", "signature", "sp", "spr", "sr", "st", "sv", "token",
}
