package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/fnv"

	"github.com/google/uuid"
)

// dice draws reproducible numbers: the same seed, purpose and count give the
// same draw, whatever was drawn in between and by whom. A sequential generator
// would make every draw depend on how concurrent requests interleave.
type dice uint64

// number draws 64 bits for the n-th occasion of a purpose.
func (d dice) number(purpose string, n uint64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(purpose)) // documented never to fail
	return scramble(scramble(uint64(d)^h.Sum64()) + n*0x9e3779b97f4a7c15)
}

// fraction draws from [0, 1).
func (d dice) fraction(purpose string, n uint64) float64 {
	return float64(d.number(purpose, n)>>11) / (1 << 53)
}

// pick draws from 0..choices-1.
func (d dice) pick(purpose string, n uint64, choices int) int {
	return int(d.fraction(purpose, n) * float64(choices))
}

// id draws a version 4 UUID, the form of every id in the documents.
func (d dice) id(purpose string, n uint64) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], d.number(purpose+"/high", n))
	binary.BigEndian.PutUint64(raw[8:], d.number(purpose+"/low", n))
	return asUUID(raw)
}

// derive names something that belongs to an id, so that it needs no storage.
func derive(id, what string) string {
	sum := sha256.Sum256([]byte(id + "/" + what))
	return asUUID([16]byte(sum[:16]))
}

func asUUID(raw [16]byte) string {
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	return uuid.UUID(raw).String()
}

// diceOf gives an id dice of its own, for what must look random and must be
// the same at every request.
func diceOf(id string) dice {
	sum := sha256.Sum256([]byte(id))
	return dice(binary.BigEndian.Uint64(sum[:8]))
}

// scramble is the finalizer of splitmix64.
func scramble(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
