// Package samples holds five short songs that a demonstration can carry
// through Segue without anybody bringing a file: one in each common format.
//
// They are synthesised by make.sh in this folder, so nobody's recording is in
// them and anyone may do with them what they like.
package samples

import "embed"

//go:embed *.mp3 *.wav *.flac *.ogg *.m4a
var songs embed.FS

// File is one song.
type File struct {
	// Name is a file name without a folder, such as 01-morning-tape.mp3.
	Name string
	// Data is the whole file. It belongs to the caller.
	Data []byte
}

// Files gives the songs in the order of their names, at most 150 KB each.
func Files() []File {
	// What is embedded was there at build time: neither call can fail.
	entries, err := songs.ReadDir(".")
	if err != nil {
		panic("samples: " + err.Error())
	}
	files := make([]File, 0, len(entries))
	for _, entry := range entries {
		// ReadFile copies: what is embedded cannot be written to.
		data, err := songs.ReadFile(entry.Name())
		if err != nil {
			panic("samples: " + err.Error())
		}
		files = append(files, File{Name: entry.Name(), Data: data})
	}
	return files
}
