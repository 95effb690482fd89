package audio

import "encoding/binary"

// chunkHeader is the eight bytes before every chunk of RIFF and IFF files.
type chunkHeader struct {
	id   string
	size int64
}

// nextChunk reads a chunk header; false at the end of the file.
func nextChunk(c *cursor, order binary.ByteOrder) (chunkHeader, bool) {
	head := c.peek(8)
	if len(head) < 8 {
		return chunkHeader{}, false
	}
	h := chunkHeader{id: string(head[:4]), size: int64(order.Uint32(head[4:]))}
	c.skip(8)
	return h, true
}

// skipPadding passes the zero byte behind a chunk of odd size. Some writers
// forget it: then the next chunk's name begins at once.
func skipPadding(c *cursor, size int64) {
	if size%2 == 0 {
		return
	}
	if next := c.peek(1); len(next) == 1 && next[0] == 0 {
		c.skip(1)
	}
}

// isChunkID holds for four printable characters.
func isChunkID(id []byte) bool {
	if len(id) < 4 {
		return false
	}
	for _, b := range id[:4] {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}
