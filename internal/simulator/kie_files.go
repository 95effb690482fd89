package simulator

import (
	"net/http"
	"path"
	"strings"
	"time"
)

// stagedFile is a file on a staging host. Its bytes are in the depot.
type stagedFile struct {
	// Path is provider, owner, folder and name.
	Path     string    `json:"path"`
	Blob     string    `json:"blob"`
	Size     int64     `json:"size"`
	Type     string    `json:"type"`
	Uploaded time.Time `json:"uploaded"`

	served bool
	// former is the file that this one took the place of.
	former *stagedFile
}

// stage puts a file into its place.
func (st *state) stage(f *stagedFile) {
	if f.former = st.staged[f.Path]; f.former != nil {
		f.former.former = nil // one generation is remembered
	}
	st.staged[f.Path] = f
}

// cacheLife is how long a cache gives out a file that was overwritten, for the
// seeds that have one in front: the documents warn of it.
const cacheLife = 5 * time.Minute

// find gives the file that a request gets, nil when there is none. The caller
// holds mu.
func (s *Simulator) find(name string) *stagedFile {
	f := s.state.staged[name]
	now := s.now()
	if f == nil {
		s.conduct.UnknownIDs++
		return nil
	}
	if now.Sub(f.Uploaded) >= s.opts.KIE.StagingLife {
		s.conduct.ExpiredFiles++
		return nil
	}
	cached := s.dice.pick("kie/cache", 0, 2) == 0 && now.Sub(f.Uploaded) < cacheLife
	if old := f.former; old != nil && old.served && cached {
		f = old
	}
	f.served = true
	return f
}

// serveStaged serves a staged file to whoever knows its address.
func (s *Simulator) serveStaged(w http.ResponseWriter, r *http.Request) {
	provider, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "-staging/")
	s.mu.Lock()
	s.conduct.Requests++
	f := s.find(provider + "/" + r.PathValue("path"))
	s.mu.Unlock()
	if f == nil {
		http.Error(w, "NoSuchKey", http.StatusNotFound)
		return
	}
	content, err := s.files.open(f.Blob)
	if err != nil {
		http.Error(w, "NoSuchKey", http.StatusNotFound)
		return
	}
	defer func() { _ = content.Close() }()
	w.Header().Set("Content-Type", f.Type)
	http.ServeContent(w, r, "", f.Uploaded.Truncate(time.Second), content)
}

// mediaType goes by the name. The machine's own table is not asked: answers
// must not depend on where the simulator runs.
func mediaType(name string) string {
	types := map[string]string{
		".mp3": "audio/mpeg", ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".opus": "audio/ogg",
		".m4a": "audio/mp4", ".aac": "audio/aac", ".aif": "audio/aiff", ".aiff": "audio/aiff",
	}
	if t := types[strings.ToLower(path.Ext(name))]; t != "" {
		return t
	}
	return "application/octet-stream"
}
