package deploy_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one line of a Dockerfile.
type instruction struct {
	verb, args string
}

// stages splits the Dockerfile at its FROM lines.
func stages(t *testing.T) [][]instruction {
	t.Helper()
	var all [][]instruction
	for line := range strings.SplitSeq(read(t, "Dockerfile"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verb, args, _ := strings.Cut(line, " ")
		if verb == "FROM" {
			all = append(all, nil)
		}
		if len(all) == 0 {
			t.Fatalf("%s before any FROM", verb)
		}
		all[len(all)-1] = append(all[len(all)-1], instruction{verb, args})
	}
	return all
}

// last gives the arguments of the last instruction of its kind in a stage.
func last(stage []instruction, verb string) string {
	for _, i := range slices.Backward(stage) {
		if i.verb == verb {
			return i.args
		}
	}
	return ""
}

func TestDockerfileStages(t *testing.T) {
	known := make(map[string]bool)
	for _, stage := range stages(t) {
		image, name, _ := strings.Cut(stage[0].args, " AS ")
		if image != "scratch" {
			checkImage(t, "Dockerfile", image)
		}
		known[name] = true
		for _, i := range stage {
			if from := regexp.MustCompile(`--from=(\w+)`).FindStringSubmatch(i.args); len(from) == 2 && !known[from[1]] {
				t.Errorf("COPY from %q, which is no stage", from[1])
			}
		}
	}
}

func TestDockerfileGoIsThatOfTheModule(t *testing.T) {
	directive := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "../go.mod"))
	if len(directive) != 2 {
		t.Fatal("go.mod has no go directive")
	}
	if want := "FROM golang:" + directive[1] + " AS build\n"; !strings.Contains(read(t, "Dockerfile"), want) {
		t.Errorf("the Dockerfile builds with another Go than go.mod asks for; want %q", want)
	}
	tools := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "../tools/go.mod"))
	if len(tools) != 2 || tools[1] != directive[1] {
		t.Errorf("tools/go.mod: go directive %q, want %q: a linter older than the code refuses it", tools, directive[1])
	}
}

func TestDockerfileResult(t *testing.T) {
	all := stages(t)
	image := all[len(all)-1]
	if image[0].args != "scratch" {
		t.Errorf("the image stands on %q, want scratch", image[0].args)
	}
	if user := last(image, "USER"); !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("user %q, want numbers (Kubernetes cannot tell that a name is not root), and not root's", user)
	}
	if got := last(image, "STOPSIGNAL"); got != "SIGTERM" {
		t.Errorf("stop signal %q, want SIGTERM, which drains", got)
	}
	if got := last(image, "ENTRYPOINT"); got != `["/bin/segue"]` {
		t.Errorf("entry point %q, want the binary itself: a shell would swallow SIGTERM", got)
	}
	var command []string
	if err := json.Unmarshal([]byte(last(image, "CMD")), &command); err != nil {
		t.Fatalf("CMD %q: %v", last(image, "CMD"), err)
	}
	checkCommand(t, "Dockerfile", command)
	for _, want := range []string{"/etc/ssl/certs/", "/zoneinfo.zip", "/var/lib/segue", "/tmp", "/bin/segue"} {
		if !slices.ContainsFunc(image, func(i instruction) bool { return i.verb == "COPY" && strings.HasSuffix(i.args, " "+want) }) {
			t.Errorf("nothing is copied to %s", want)
		}
	}
}

// TestVersionIsStamped: the linker ignores -X for a variable that is not there,
// and `segue version` would say nothing for ever.
func TestVersionIsStamped(t *testing.T) {
	for _, file := range []string{"Dockerfile", "../Makefile"} {
		if text := read(t, file); !strings.Contains(text, "-X main.version=") || !strings.Contains(text, "CGO_ENABLED=0") {
			t.Errorf("%s does not build a static binary with -X main.version", file)
		}
	}
	files, err := filepath.Glob("../cmd/segue/*.go")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(files, func(name string) bool { return declares(t, name, "version") }) {
		t.Errorf("%d files of cmd/segue have no package variable `version`, which the builds stamp", len(files))
	}
}

// declares says whether a file has a package variable of this name.
func declares(t *testing.T, file, name string) bool {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(parsed.Decls, func(d ast.Decl) bool {
		g, ok := d.(*ast.GenDecl)
		return ok && g.Tok == token.VAR && slices.ContainsFunc(g.Specs, func(s ast.Spec) bool {
			v, ok := s.(*ast.ValueSpec)
			return ok && slices.ContainsFunc(v.Names, func(id *ast.Ident) bool { return id.Name == name })
		})
	})
}
