package archive

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
)

// The kinds of FLAC's metadata blocks that matter here, and their limits
// (RFC 9639, 8).
const (
	blockHead     = 4
	streamInfo    = 0
	vorbisComment = 4
	invalidBlock  = 127
	lastBlock     = 0x80
	maxBlock      = 1<<24 - 1
	// maxOld is the longest comment block that is read: lyrics fit, and whoever
	// has more than that keeps it.
	maxOld = 1 << 20
)

// block is a metadata block: where its content lies, or what it is to be.
type block struct {
	kind  byte
	where span
	fresh []byte
}

// tagFLAC replaces the title and the comment in a FLAC file's comments, or gives
// it a block of comments. All other comments and blocks stay, and so does every
// frame of sound.
func tagFLAC(to io.Writer, from io.ReaderAt, size int64, tags Tags) error {
	blocks, sound, err := readBlocks(from, size)
	if err != nil {
		return err
	}
	if blocks, err = withComments(from, blocks, tags); err != nil {
		return err
	}
	if _, err := to.Write([]byte("fLaC")); err != nil {
		return err
	}
	for i, b := range blocks {
		if err := b.write(to, from, i == len(blocks)-1); err != nil {
			return err
		}
	}
	return copySpans(to, from, span{sound, size - sound})
}

// readBlocks finds the metadata blocks and where the sound begins.
func readBlocks(from io.ReaderAt, size int64) (blocks []block, sound int64, err error) {
	head, err := readSpan(from, 0, 4)
	if err != nil {
		return nil, 0, err
	}
	if string(head) != "fLaC" {
		return nil, 0, errUntaggable // an ID3 tag before it, which nobody should write
	}
	for last := false; !last; {
		at := int64(4)
		if len(blocks) > 0 {
			before := blocks[len(blocks)-1].where
			at = before.start + before.length
		}
		head, err := readSpan(from, at, blockHead)
		if err != nil {
			return nil, 0, err
		}
		last = head[0]&lastBlock != 0
		b := block{kind: head[0] &^ lastBlock, where: span{at + blockHead, int64(binary.BigEndian.Uint32(head) & maxBlock)}}
		sound = b.where.start + b.where.length
		if b.kind == invalidBlock || (b.kind == streamInfo) != (len(blocks) == 0) || sound > size {
			return nil, 0, errUntaggable
		}
		blocks = append(blocks, b)
	}
	return blocks, sound, nil
}

// withComments puts the new comments in the place of the old ones, or after the
// first block, where every reader finds them.
func withComments(from io.ReaderAt, blocks []block, tags Tags) ([]block, error) {
	at := -1
	for i, b := range blocks {
		if b.kind != vorbisComment {
			continue
		}
		if at >= 0 || b.where.length > maxOld {
			return nil, errUntaggable
		}
		at = i
	}
	vendor, kept := []byte("Segue"), [][]byte(nil)
	if at >= 0 {
		old, err := readSpan(from, blocks[at].where.start, blocks[at].where.length)
		if err != nil {
			return nil, err
		}
		var ok bool
		if vendor, kept, ok = parseComments(old); !ok {
			return nil, errUntaggable
		}
	} else {
		at = 1
		blocks = append(blocks[:1:1], append([]block{{}}, blocks[1:]...)...)
	}
	content := comments(vendor, kept, tags)
	if len(content) > maxBlock {
		return nil, errUntaggable
	}
	blocks[at] = block{kind: vorbisComment, fresh: content}
	return blocks, nil
}

// comments gives the content of a comment block.
func comments(vendor []byte, kept [][]byte, tags Tags) []byte {
	var all [][]byte
	for _, ours := range []struct{ name, text string }{{"TITLE", tags.Title}, {"COMMENT", tags.Comment}} {
		if ours.text == "" {
			continue
		}
		kept = without(kept, ours.name)
		all = append(all, []byte(ours.name+"="+ours.text))
	}
	all = append(all, kept...)
	content := appendCounted(nil, vendor)
	content = binary.LittleEndian.AppendUint32(content, uint32(len(all)))
	for _, comment := range all {
		content = appendCounted(content, comment)
	}
	return content
}

func appendCounted(to, text []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(to, uint32(len(text))), text...)
}

// without drops the comments of a name, which is compared without case.
func without(comments [][]byte, name string) [][]byte {
	var kept [][]byte
	for _, comment := range comments {
		if before, _, _ := bytes.Cut(comment, []byte("=")); !strings.EqualFold(string(before), name) {
			kept = append(kept, comment)
		}
	}
	return kept
}

// parseComments reads a comment block: the name of the program that made it, and
// its comments. It reports false when they are not exactly the block.
func parseComments(content []byte) (vendor []byte, comments [][]byte, ok bool) {
	vendor, content, ok = counted(content)
	if !ok || len(content) < 4 {
		return nil, nil, false
	}
	count := binary.LittleEndian.Uint32(content)
	content = content[4:]
	for range count {
		var comment []byte
		if comment, content, ok = counted(content); !ok {
			return nil, nil, false
		}
		comments = append(comments, comment)
	}
	return vendor, comments, len(content) == 0
}

// counted splits off a text that begins with its length.
func counted(content []byte) (text, rest []byte, ok bool) {
	if len(content) < 4 {
		return nil, nil, false
	}
	length := int64(binary.LittleEndian.Uint32(content))
	if length > int64(len(content)-4) {
		return nil, nil, false
	}
	return content[4 : 4+length], content[4+length:], true
}

// write writes the block.
func (b block) write(to io.Writer, from io.ReaderAt, last bool) error {
	length := b.where.length
	if b.fresh != nil {
		length = int64(len(b.fresh))
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(b.kind)<<24|uint32(length))
	if last {
		head[0] |= lastBlock
	}
	if _, err := to.Write(append(head, b.fresh...)); err != nil || b.fresh != nil {
		return err
	}
	return copySpans(to, from, b.where)
}
