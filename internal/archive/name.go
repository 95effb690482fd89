package archive

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxStemRunes = 80
	maxStemBytes = 200
	// maxPartBytes leaves room, within the 255 bytes that file systems allow, for
	// what is appended here: a copy's number, an extension, a download's suffix.
	maxPartBytes = 220
	nameless     = "untitled"
)

// reserved are the names that Windows gives to devices, with any extension.
var reserved = regexp.MustCompile(`(?i)^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?$`)

// SafeName turns any text into one part of a path that every file system takes
// and that cannot leave its directory: no separators, control or invisible
// formatting characters, nor any of :*?"<>|; no leading dot, dash or blank, no
// trailing dot or blank; none of Windows' device names; at most 80 characters
// and 200 bytes. Letters of all scripts stay. It is never empty, and applying it
// twice changes nothing.
func SafeName(stem string) string {
	stem = strings.Map(safeRune, strings.ToValidUTF8(stem, "_"))
	stem = trim(shorten(trim(strings.Join(strings.Fields(stem), " "))))
	if stem == "" {
		return nameless
	}
	if reserved.MatchString(stem) {
		return trim(shorten("_" + stem))
	}
	return stem
}

func safeRune(r rune) rune {
	switch {
	case strings.ContainsRune(`/\:*?"<>|`, r):
		return '_'
	case unicode.IsSpace(r):
		return ' '
	case r == '\u200c' || r == '\u200d': // joiners: Persian, Hindi and emoji need them
		return r
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
		return -1
	}
	return r
}

func trim(stem string) string {
	return strings.TrimRight(strings.TrimLeft(stem, ".- \u200c\u200d"), ". \u200c\u200d")
}

func shorten(stem string) string {
	runes := 0
	for at, r := range stem {
		if runes == maxStemRunes || at+utf8.RuneLen(r) > maxStemBytes {
			return stem[:at]
		}
		runes++
	}
	return stem
}

// checkName refuses a name of which some part is not safe as it stands. It does
// not repair it: two names that became one would be two tracks in one file.
func checkName(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxPartBytes {
			return fmt.Errorf("the name %.40q… is longer than %d bytes", part, maxPartBytes)
		}
		cleaned := strings.Join(strings.Fields(strings.Map(safeRune, strings.ToValidUTF8(part, "_"))), " ")
		if part == "" || trim(cleaned) != part || reserved.MatchString(part) {
			return fmt.Errorf("the name %q cannot be a file's", part)
		}
	}
	return nil
}

// format is what may become an extension.
var format = regexp.MustCompile(`^[a-z0-9]{1,8}$`)
