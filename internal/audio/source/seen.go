package source

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"
)

// Place is where something was named.
type Place struct {
	// Source is it as people see it; Origin the argument, or file:line.
	Source, Origin string
	// Turn tells apart places that have the same names; it is the caller's own.
	Turn uint32
}

// String is the source, and the origin where that says more.
func (p Place) String() string {
	switch {
	case p.Source == "" || p.Source == p.Origin:
		return p.Origin
	case p.Origin == "":
		return p.Source
	}
	return p.Source + " (" + p.Origin + ")"
}

const (
	// maxNames is how many bytes of names a Seen keeps. Of what came later it knows
	// the origin alone, which leads a person there as well.
	maxNames = 2 << 20
	// block is where places begin, in each piece of the memory that they lie in: an
	// offset below it and the piece's number are 32 bits.
	block = 1 << 16
)

// Seen remembers identities of any length, and where each was met first, in some
// 30 bytes each: a million of them are not a million strings. Its zero value is
// empty and ready. It is not safe for concurrent use.
//
// It is no map, which would take half as much again and, while it grows, twice that;
// and nothing in it is a pointer that the collector would have to follow.
type Seen struct {
	// shards are chosen by the first byte of a sum, so that what is copied when one
	// of them is full is a small part of all.
	shards [256]shard
	count  int
	// secret makes sums that nobody can foresee; buf is what they are made of.
	secret [16]byte
	buf    []byte
	// places are written one behind the other; names counts the bytes of their names.
	places  [][]byte
	names   int
	origins []string
	known   map[string]uint32
}

// sum is 96 bits of the SHA-256 of a secret and an identity.
type sum [12]byte

// slot is an identity, and where in places it was met. No place is at 0: that is an
// empty slot.
type slot struct {
	sum   sum
	place uint32
}

// Add remembers an identity. When it is known already, it says where it was met
// first and remembers nothing.
//
// Identities are told apart by 96 bits of a hash with a secret: nobody can make two
// that are taken for one, and of a billion none are by chance.
func (s *Seen) Add(identity string, at Place) (first Place, known bool) {
	if s.known == nil {
		s.known = map[string]uint32{}
		_, _ = rand.Read(s.secret[:]) // never fails
	}
	key := s.sum(identity)
	shard := &s.shards[key[0]]
	shard.reserve()
	found := shard.find(key)
	if found.place != 0 {
		return s.unpack(found.place), true
	}
	*found = slot{key, s.pack(at)}
	shard.count++
	s.count++
	return Place{}, false
}

// Len is the number of identities.
func (s *Seen) Len() int { return s.count }

func (s *Seen) sum(identity string) sum {
	s.buf = append(append(s.buf[:0], s.secret[:]...), identity...)
	whole := sha256.Sum256(s.buf)
	if cap(s.buf) > block {
		s.buf = nil // one long row is no reason to keep as much
	}
	return sum(whole[:len(sum{})])
}

// shard is a table of slots with open addressing.
type shard struct {
	slots []slot
	count int
}

// reserve makes room for one more: of seven slots at most six are in use. A quarter
// more at a time wastes less than twice as much would.
func (h *shard) reserve() {
	if h.count*7 < (len(h.slots)-1)*6 {
		return
	}
	old := h.slots
	h.slots = make([]slot, len(old)+len(old)/4+8)
	for _, taken := range old {
		if taken.place != 0 {
			*h.find(taken.sum) = taken
		}
	}
}

// find is the slot of a sum, or the empty one where it belongs.
func (h *shard) find(key sum) *slot {
	at, _ := bits.Mul64(binary.BigEndian.Uint64(key[1:]), uint64(len(h.slots)))
	for h.slots[at].place != 0 && h.slots[at].sum != key {
		if at++; at == uint64(len(h.slots)) {
			at = 0
		}
	}
	return &h.slots[at]
}

// pack writes a place behind the others, and says where. Most are rows of one
// manifest, one after another: their turns are as far from their lines as the last.
func (s *Seen) pack(at Place) uint32 {
	origin, line := at.Origin, uint64(0)
	if isRow(origin) {
		cut := strings.LastIndexByte(origin, ':')
		if n, err := strconv.ParseUint(origin[cut+1:], 10, 32); err == nil && n > 0 {
			origin, line = origin[:cut], n
		}
	}
	if s.names+len(at.Source) >= maxNames {
		at.Source = ""
	}
	s.names += len(at.Source)
	last := s.room(len(at.Source) + 4*binary.MaxVarintLen32)
	begin := len(*last)
	*last = binary.AppendUvarint(*last, uint64(s.intern(origin)))
	*last = binary.AppendUvarint(*last, line)
	*last = binary.AppendVarint(*last, int64(at.Turn)-int64(line))
	*last = binary.AppendUvarint(*last, uint64(len(at.Source)))
	*last = append(*last, at.Source...)
	return uint32(len(s.places)-1)<<16 | uint32(begin)
}

// room is the piece of memory that the next place lies in, if it takes so much. The
// first grows from nothing: most have few places in them.
func (s *Seen) room(length int) *[]byte {
	full := len(s.places) == 0
	if !full {
		begun := len(s.places[len(s.places)-1])
		full = begun > 1 && begun+length > block
	}
	if full {
		next := make([]byte, 1, 64)
		if len(s.places) > 0 {
			next = make([]byte, 1, block)
		}
		s.places = append(s.places, next)
	}
	return &s.places[len(s.places)-1]
}

// intern gives the origin's number: there are few of them, and many places in each.
func (s *Seen) intern(origin string) uint32 {
	number, known := s.known[origin]
	if !known {
		number = uint32(len(s.origins))
		s.origins = append(s.origins, origin)
		s.known[origin] = number
	}
	return number
}

func (s *Seen) unpack(place uint32) Place {
	packed := s.places[place>>16][place&(block-1):]
	origin, read := binary.Uvarint(packed)
	packed = packed[read:]
	line, read := binary.Uvarint(packed)
	packed = packed[read:]
	turn, read := binary.Varint(packed)
	packed = packed[read:]
	length, read := binary.Uvarint(packed)
	at := Place{
		Source: string(packed[read : read+int(length)]), Origin: s.origins[origin], Turn: uint32(turn + int64(line)),
	}
	if line > 0 {
		at.Origin += ":" + strconv.FormatUint(line, 10)
	}
	return at
}
