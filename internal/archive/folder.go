package archive

import (
	"slices"
	"strings"
)

// constant are the fields that are the same for all items of a session. The model is
// not: an item may have its own.
var constant = map[string]bool{"session": true, "name": true, "provider": true, "account": true, "date": true}

// folderParts is how many parts of a name come before the first that depends on the
// item, and whether the session's id is in one of them. The last part is a file's.
func (l Layout) folderParts() (n int, own bool) {
	for _, part := range l.parts[:len(l.parts)-1] {
		if slices.ContainsFunc(part, func(p piece) bool { return !p.isText() && !constant[p.field] }) {
			break
		}
		own = own || slices.Contains(part, piece{field: "session"})
		n++
	}
	return n, own
}

// Folder names the folder in which the layout puts all of a session's files, of which
// f need not say more than what concerns the session; empty where it gives them none.
// own says that no other session has it: the session's id is in its name. Where texts
// are so long that names had to be shortened, tracks may lie elsewhere all the same.
func (l Layout) Folder(f Fields) (folder string, own bool) {
	l = l.orDefault()
	n, own := l.folderParts()
	if n == 0 {
		return "", false
	}
	return Layout{parts: l.parts[:n]}.render(&f), own
}

// Below is what a name that Track or Item gave says below the session's folder.
func (l Layout) Below(name string) string {
	n, _ := l.orDefault().folderParts()
	for range n {
		_, name, _ = strings.Cut(name, "/")
	}
	return name
}

// Record names what lies beside a session's results to tell of all of it, with its
// extension: session.json in the session's own folder, under a name with the
// session's id in a folder that it shares with others, and where the layout gives it
// no folder in one of its id. No two sessions have one name.
func (l Layout) Record(f Fields) string {
	switch folder, own := l.Folder(f); {
	case folder == "":
		return RecordAside(f.Session)
	case own:
		return folder + "/session.json"
	default:
		return folder + "/session-" + safeID(f.Session) + ".json"
	}
}

// RecordAside is Record for a session whose results do not share a folder.
func RecordAside(session string) string { return safeID(session) + "/session.json" }
