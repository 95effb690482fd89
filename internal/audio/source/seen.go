package source

import (
	"crypto/sha256"
	"encoding/binary"
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

// maxNames is how many bytes of names a Seen keeps. Of what came later it knows
// the origin alone, which leads a person there as well.
const maxNames = 8 << 20

// Seen remembers identities of any length, and where each was met first, in some
// 50 bytes each: a million of them are not a million strings. Its zero value is
// empty and ready. It is not safe for concurrent use.
type Seen struct {
	places  map[[16]byte]place
	names   []byte
	origins []string
	known   map[string]uint32
}

// place is a Place, packed.
type place struct {
	origin, line, turn uint32
	// name is where in names the source stands, plus 1; 0 when it was not kept.
	name uint32
}

// Add remembers an identity. When it is known already, it says where it was met
// first and remembers nothing.
//
// Identities are told apart by 128 bits of their SHA-256: nobody can make two that
// are taken for one.
func (s *Seen) Add(identity string, at Place) (first Place, known bool) {
	sum := sha256.Sum256([]byte(identity))
	key := [16]byte(sum[:16])
	if p, known := s.places[key]; known {
		return s.unpack(p), true
	}
	if s.places == nil {
		s.places, s.known = map[[16]byte]place{}, map[string]uint32{}
	}
	s.places[key] = s.pack(at)
	return Place{}, false
}

// Len is the number of identities.
func (s *Seen) Len() int { return len(s.places) }

func (s *Seen) pack(at Place) place {
	p := place{turn: at.Turn}
	origin := at.Origin
	if isRow(origin) {
		cut := strings.LastIndexByte(origin, ':')
		if line, err := strconv.ParseUint(origin[cut+1:], 10, 32); err == nil && line > 0 {
			origin, p.line = origin[:cut], uint32(line)
		}
	}
	p.origin = s.intern(origin)
	if len(s.names)+len(at.Source) < maxNames {
		p.name = uint32(len(s.names)) + 1
		s.names = binary.AppendUvarint(s.names, uint64(len(at.Source)))
		s.names = append(s.names, at.Source...)
	}
	return p
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

func (s *Seen) unpack(p place) Place {
	at := Place{Origin: s.origins[p.origin], Turn: p.turn}
	if p.line > 0 {
		at.Origin += ":" + strconv.FormatUint(uint64(p.line), 10)
	}
	if p.name > 0 {
		length, n := binary.Uvarint(s.names[p.name-1:])
		from := int(p.name) - 1 + n
		at.Source = string(s.names[from : from+int(length)])
	}
	return at
}
