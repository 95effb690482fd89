package rest

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxLooked  = 2048 // bytes of a provider's text that are looked at
	maxClean   = 160  // runes of it that an error repeats
	maxWord    = 40   // a longer word is a token, not a word; a UUID has 36
	keyPiece   = 6    // a word with this much of the credential is dropped
	echoLength = 24   // a text that repeats this much of our request is cut there
)

// clean makes a provider's text fit for an error. sent is the request's body,
// which the text might echo.
func clean(text, key, sent string) string {
	text = cutEcho(strings.ToValidUTF8(text[:min(len(text), maxLooked)], ""), sent)
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	for i, word := range words {
		if suspicious(word, key) {
			words[i] = "…"
		}
	}
	return shorten(strings.Join(words, " "))
}

// suspicious says whether a word may be, or hold, a secret: part of an address or
// its query, a token, a piece of the credential.
func suspicious(word, key string) bool {
	if utf8.RuneCountInString(word) > maxWord || strings.ContainsAny(word, "=&%@") || strings.Contains(word, "//") {
		return true
	}
	if len(key) <= keyPiece {
		return key != "" && strings.Contains(word, key)
	}
	for i := 0; i+keyPiece <= len(key); i++ {
		if strings.Contains(word, key[i:i+keyPiece]) {
			return true
		}
	}
	return false
}

// cutEcho ends the text where it begins to repeat the request: lyrics belong
// into no log.
func cutEcho(text, sent string) string {
	for i := 0; i+echoLength <= len(text); i++ {
		if strings.Contains(sent, text[i:i+echoLength]) {
			return strings.ToValidUTF8(text[:i], "") + " …"
		}
	}
	return text
}

func shorten(text string) string {
	runes := []rune(text)
	if len(runes) <= maxClean {
		return text
	}
	return string(runes[:maxClean]) + "…"
}
