package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
)

// packed writes a list for Redis: JSON, compressed. A hundred thousand files that were
// left out are 70 MB as text, of which one value of Redis holds 512 at most, and an
// eighth of that so.
func packed(left []reused) ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	encoder := json.NewEncoder(zip)
	for n := range left {
		if err := encoder.Encode(&left[n]); err != nil {
			return nil, err
		}
	}
	err := zip.Close()
	return out.Bytes(), err
}

// unpacked reads what packed wrote.
func unpacked(text []byte) ([]reused, error) {
	zip, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	left := []reused{}
	for decoder := json.NewDecoder(bufio.NewReader(zip)); ; {
		var r reused
		err := decoder.Decode(&r)
		if errors.Is(err, io.EOF) {
			return left, nil
		}
		if err != nil {
			return nil, err
		}
		left = append(left, r)
	}
}
