package archive

import (
	"errors"
	"fmt"
	"slices"
)

// checkNumbers makes sure that no two tracks of a session have one name: the
// index, and then the number, can be read back from it. 111 and 1 must not look
// like 11 and 11, nor a stem with numbers in it like another item. Slashes
// separate for sure, because no value has one.
func (l Layout) checkNumbers() error {
	return errors.Join(
		l.checkNumber("index", readsIndex),
		l.checkNumber("n", readsN),
	)
}

// checkNumber makes sure that one of a field's places can be read back.
func (l Layout) checkNumber(field string, reads func(before, after []piece) bool) error {
	for _, part := range l.parts {
		at := slices.Index(part, piece{field: field})
		if at >= 0 && reads(part[:at], part[at+1:]) {
			return nil
		}
	}
	return fmt.Errorf("{%s} could not be told from what stands beside it: separate it by - or /, before or after all texts", field)
}

// readsIndex reports whether the index can be read from the left, where nothing
// before it differs between items, or from the right.
func readsIndex(before, after []piece) bool {
	switch {
	case !ends(after):
		return false
	case !anyOf(before, "stem", "title", "model", "n"):
		return true
	}
	return begins(before) && !anyOf(after, "stem", "title", "model")
}

// readsN is readsIndex for the tracks of one item, which differ in the title.
func readsN(before, after []piece) bool {
	if !anyOf(before, "title") {
		return ends(after) || !anyOf(after, "title")
	}
	return begins(before) && !anyOf(after, "title")
}

func anyOf(pieces []piece, fields ...string) bool {
	return slices.ContainsFunc(pieces, func(p piece) bool { return !p.isText() && slices.Contains(fields, p.field) })
}

// ends reports whether a number ends where these pieces begin.
func ends(after []piece) bool {
	return len(after) == 0 || after[0].isText() && !isDigit(after[0].literal[0])
}

// begins reports whether a number begins where these pieces end.
func begins(before []piece) bool {
	if len(before) == 0 {
		return true
	}
	last := before[len(before)-1]
	return last.isText() && !isDigit(last.literal[len(last.literal)-1])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// longest is how many bytes a field has at most, where texts are as short as they
// are made.
func (p piece) longest() int {
	switch p.field {
	case "":
		return len(p.literal)
	case "session", "audio_id":
		return maxID
	case "index", "n", "date":
		return 10
	}
	return minLimit + 1 // a device's name gets a character more
}

// checkLength makes sure that every name fits, whatever the fields hold.
func (l Layout) checkLength() error {
	whole := len(l.parts)
	for _, part := range l.parts {
		length := 0
		for _, p := range part {
			length += p.longest()
		}
		if length >= maxPartBytes-maxID {
			return fmt.Errorf("a name can become longer than %d bytes between two slashes", maxPartBytes)
		}
		whole += length
	}
	if whole > maxNameBytes {
		return fmt.Errorf("a name can become longer than %d bytes", maxNameBytes)
	}
	return nil
}
