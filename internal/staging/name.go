package staging

import (
	"path"
	"path/filepath"
	"strings"
)

// contentTypes are the types of what Segue stages, by extension. The system's
// own table is not asked, as it differs between machines.
var contentTypes = map[string]string{
	".aac":  "audio/aac",
	".aif":  "audio/aiff",
	".aiff": "audio/aiff",
	".flac": "audio/flac",
	".m4a":  "audio/mp4",
	".mp3":  "audio/mpeg",
	".mp4":  "audio/mp4",
	".oga":  "audio/ogg",
	".ogg":  "audio/ogg",
	".opus": "audio/ogg",
	".wav":  "audio/wav",
}

func contentType(name string) string {
	if known, ok := contentTypes[path.Ext(name)]; ok {
		return known
	}
	return "application/octet-stream"
}

const maxStem = 80

// publicName is the last part of the URL. It is for the provider's eyes and for
// what guesses types by extension, and has letters that no client of a provider
// gets wrong when it quotes URLs: ASCII, digits, dash, underscore and dot.
func publicName(f File) string {
	name := f.Name
	if name == "" {
		name = filepath.Base(f.Path)
	}
	extension := strings.ToLower(path.Ext(name))
	if _, known := contentTypes[extension]; !known {
		extension = ""
	}
	stem := strings.Map(plain, name[:len(name)-len(extension)])
	for strings.Contains(stem, "--") {
		stem = strings.ReplaceAll(stem, "--", "-")
	}
	stem = strings.Trim(stem[:min(len(stem), maxStem)], "-.")
	if stem == "" {
		stem = "audio"
	}
	return stem + extension
}

func plain(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '.':
		return r
	}
	return '-'
}
