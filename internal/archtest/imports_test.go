package archtest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

const providers = "internal/provider"

// driver names the provider's folder that dir is, or lies in: everything below
// internal/provider but the kit that drivers share.
func driver(dir string) (string, bool) {
	rest, below := strings.CutPrefix(dir, providers+"/")
	if !below {
		return "", false
	}
	name, _, _ := strings.Cut(rest, "/")
	switch name {
	case "rest", "drivertest", "all":
		return "", false
	}
	return providers + "/" + name, true
}

// supportsTests says whether a folder is there for tests to import: drivertest,
// enqueuetest.
func supportsTests(dir string) bool { return strings.HasSuffix(path.Base(dir), "test") }

// ours lists which of our folders f imports outside of its tests.
func (t *tree) ours(f *folder) []string {
	var dirs []string
	for _, p := range f.imported(false) {
		if dir, ok := t.dir(p); ok {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// standard says whether an import path is the standard library's: a module's
// begins with a host, which has a dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// standalone: packages that stand at the bottom, and why.
func standalone(t *tree) []string {
	var found []string
	for _, f := range t.folders {
		for _, p := range f.imported(false) {
			dir, own := t.dir(p)
			switch {
			case within(f.dir, "tasks") && !standard(p):
				found = append(found, fmt.Sprintf("%s imports %s: tasks is for every producer, and imports the standard library alone", f.dir, p))
			case f.dir == "internal/fault" && own:
				found = append(found, fmt.Sprintf("%s imports %s: everything imports fault, so it imports nothing of ours", f.dir, dir))
			}
		}
	}
	return found
}

// drivers: a vendor's driver sees the contract, the HTTP kit and the codes.
func drivers(t *tree) []string {
	var found []string
	for _, f := range t.folders {
		own, ok := driver(f.dir)
		if !ok {
			continue
		}
		for _, dir := range t.ours(f) {
			if dir == providers || dir == providers+"/rest" || dir == "internal/fault" || within(dir, own) {
				continue
			}
			found = append(found, fmt.Sprintf("%s imports %s: a driver imports provider, provider/rest and fault, and no other driver", f.dir, dir))
		}
	}
	return found
}

// importers: some packages are imported from one place only, or from none.
func importers(t *tree) []string {
	var found []string
	for _, f := range t.folders {
		for _, dir := range t.ours(f) {
			if why := refused(f.dir, dir); why != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", f.dir, dir, why))
			}
		}
	}
	return found
}

// refused says why from may not import dir; empty when it may.
func refused(from, dir string) string {
	_, vendor := driver(dir)
	_, sibling := driver(from) // what drivers import is the drivers rule's business
	base := path.Base(dir)
	switch {
	case vendor && !sibling && from != providers+"/all" && !within(from, "cmd"):
		return "drivers are reached through provider/all, the explicit registry"
	case within(dir, "cmd") && !within(from, "cmd"):
		return "cmd is the wiring; nothing stands above it"
	case dir == "internal/archtest", dir == "internal/e2e":
		return base + " holds tests"
	case supportsTests(dir) && !supportsTests(from):
		return base + " is for tests; no product code may need it"
	}
	return ""
}

// strangers: simulator and drivers share nothing, not even at second hand. A
// misreading of a vendor's page that both shared would pass every test.
func strangers(t *tree) []string {
	var found []string
	for _, f := range t.folders {
		var other string
		switch {
		case within(f.dir, "internal/simulator"):
			other = providers
		case within(f.dir, providers):
			other = "internal/simulator"
		default:
			continue
		}
		for _, p := range slices.Sorted(maps.Keys(t.reach(t.path(f)))) {
			if dir, ok := t.dir(p); ok && within(dir, other) {
				found = append(found, fmt.Sprintf("%s reaches %s: simulator and drivers share no code", f.dir, dir))
			}
		}
	}
	return found
}

// producer: what a service gets into its build by importing enqueue.
func producer(t *tree) []string {
	allowed := map[string]bool{"": true, t.module: true}
	for _, root := range []string{"github.com/hibiken/asynq", "github.com/redis/go-redis/v9", "github.com/google/uuid"} {
		for p := range t.reach(root) {
			allowed[t.owner[p]] = true
		}
	}
	modules := make(map[string]string)
	for p := range t.reach(t.module + "/enqueue") {
		owner := t.owner[p]
		if _, own := t.dir(p); owner == "" && !own && !standard(p) {
			owner = p // not resolved; what it would bring is unknown
		}
		if first, seen := modules[owner]; !allowed[owner] && (!seen || p < first) {
			modules[owner] = p
		}
	}
	found := make([]string, 0, len(modules))
	for _, owner := range slices.Sorted(maps.Keys(modules)) {
		found = append(found, fmt.Sprintf("enqueue pulls in %s (%s): asynq, go-redis, uuid and what those need, no more", owner, modules[owner]))
	}
	return found
}

// area groups folders for the question of who stands on whom: internal/x with
// everything below it is one area, cmd, tasks, handlers and enqueue are others.
func area(dir string) string {
	parts := strings.SplitN(dir, "/", 3)
	if parts[0] == "internal" && len(parts) > 1 {
		return "internal/" + parts[1]
	}
	return parts[0]
}

// cycles: areas stand on each other in one direction. Go refuses cycles of
// packages; a.x on b.y and b.z on a.w is the same knot one level up.
func cycles(t *tree) []string {
	edges := make(map[string]map[string]bool)
	for _, f := range t.folders {
		for _, dir := range t.ours(f) {
			from, to := area(f.dir), area(dir)
			if from == to {
				continue
			}
			if edges[from] == nil {
				edges[from] = make(map[string]bool)
			}
			edges[from][to] = true
		}
	}
	w := &cycleWalk{edges: edges, done: make(map[string]bool)}
	for _, from := range slices.Sorted(maps.Keys(edges)) {
		w.visit(from)
	}
	return w.found
}

// cycleWalk looks for a way back to where it has been, depth first.
type cycleWalk struct {
	edges map[string]map[string]bool
	trail []string
	done  map[string]bool
	found []string
}

func (w *cycleWalk) visit(at string) {
	if i := slices.Index(w.trail, at); i >= 0 {
		w.found = append(w.found, strings.Join(append(slices.Clone(w.trail[i:]), at), " -> ")+": areas import each other in a circle")
		return
	}
	if w.done[at] {
		return
	}
	w.trail = append(w.trail, at)
	for _, to := range slices.Sorted(maps.Keys(w.edges[at])) {
		w.visit(to)
	}
	w.trail = w.trail[:len(w.trail)-1]
	w.done[at] = true
}
