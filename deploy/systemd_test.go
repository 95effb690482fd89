package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unit is a unit file: the values of each key, in order, by section.
type unit map[string]map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	u := make(unit)
	var section string
	for n, line := range strings.Split(read(t, filepath.Join("systemd", name)), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			section = strings.Trim(line, "[]")
			u[section] = make(map[string][]string)
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" {
				t.Fatalf("%s:%d: %q is neither a section nor key=value", name, n+1, line)
			}
			u[section][key] = append(u[section][key], value)
		}
	}
	return u
}

// one gives the only value of a key of [Service].
func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	values := u["Service"][key]
	if len(values) != 1 {
		t.Errorf("%s: %q, want one value", key, values)
		return ""
	}
	return values[0]
}

var services = []string{"segue-serve.service", "segue-scheduler.service", "segue-worker@.service"}

func TestUnits(t *testing.T) {
	roles := map[string]string{"segue-serve.service": "serve", "segue-scheduler.service": "scheduler", "segue-worker@.service": "worker"}
	for _, name := range services {
		t.Run(name, func(t *testing.T) {
			u := readUnit(t, name)
			command := strings.Fields(u.one(t, "ExecStart"))
			want := []string{"/usr/local/bin/segue", roles[name], "--config", "/etc/segue/segue.yaml"}
			if diff := cmp.Diff(want, command); diff != "" {
				t.Errorf("ExecStart (-want +got):\n%s", diff)
			}
			checkCommand(t, name, command[1:])
			checkStop(t, name, u.one(t, "TimeoutStopSec"))
			if got := u.one(t, "KillSignal"); got != "SIGTERM" {
				t.Errorf("KillSignal %q, want SIGTERM, which drains", got)
			}
			if got := u.one(t, "User"); got != "segue" {
				t.Errorf("User %q, want segue", got)
			}
		})
	}
}

// TestUnitsAreClosed: the walls that cost nothing and stand between a decoder's
// bug and the machine.
func TestUnitsAreClosed(t *testing.T) {
	want := map[string]string{
		"CapabilityBoundingSet": "", "NoNewPrivileges": "yes", "PrivateTmp": "yes", "ProtectSystem": "strict",
		"ProtectHome": "read-only", "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX", "SystemCallArchitectures": "native",
	}
	for _, name := range services {
		u := readUnit(t, name)
		for key, value := range want {
			if got := u.one(t, key); got != value {
				t.Errorf("%s: %s=%s, want %s", name, key, got, value)
			}
		}
	}
}

// TestUnitsConfiguration loads what each unit is given.
func TestUnitsConfiguration(t *testing.T) {
	for _, name := range services {
		t.Run(name, func(t *testing.T) {
			u := readUnit(t, name)
			c := load(t, "segue.yaml", slices.Clone(u["Service"]["Environment"]))
			got := []string{c.Redis.URL.Reveal(), c.StateDir, c.Archive.URL, c.Server.Addr}
			want := []string{"redis://127.0.0.1:6379/0", "/var/lib/segue", "file:///var/lib/segue/archive", "127.0.0.1:8080"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("redis, state, archive, server (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUnitsCredentials: each key file that the environment names is one that
// systemd hands over.
func TestUnitsCredentials(t *testing.T) {
	for _, name := range services {
		u := readUnit(t, name)
		var handed []string
		for _, credential := range u["Service"]["LoadCredential"] {
			id, from, _ := strings.Cut(credential, ":")
			if want := "/etc/segue/credentials/" + id; from != want {
				t.Errorf("%s: credential %s comes from %q, want %q", name, id, from, want)
			}
			handed = append(handed, id)
		}
		var used []string
		for _, e := range u["Service"]["Environment"] {
			if _, id, ok := strings.Cut(e, "=%d/"); ok {
				used = append(used, id)
			}
		}
		slices.Sort(handed)
		slices.Sort(used)
		if diff := cmp.Diff(handed, used); diff != "" || len(used) == 0 {
			t.Errorf("%s: credentials handed over and used (-handed +used):\n%s", name, diff)
		}
	}
}

func TestTargetWantsUnitsThatExist(t *testing.T) {
	wanted := strings.Fields(strings.Join(readUnit(t, "segue.target")["Unit"]["Wants"], " "))
	want := []string{"segue-serve.service", "segue-scheduler.service", "segue-worker@1.service", "segue-worker@2.service"}
	if diff := cmp.Diff(want, wanted); diff != "" {
		t.Errorf("Wants (-want +got):\n%s", diff)
	}
	for _, name := range services {
		if got := readUnit(t, name)["Unit"]["PartOf"]; !slices.Contains(got, "segue.target") {
			t.Errorf("%s is part of %q, want segue.target: stopping that must stop all", name, got)
		}
	}
}

// TestSystemdAccepts asks systemd itself, which knows misspelt keys.
func TestSystemdAccepts(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze on PATH: the units were read by this test alone")
	}
	folder := t.TempDir()
	// An instance must be named; a binary must exist.
	for from, to := range map[string]string{"segue.target": "segue.target", "segue-serve.service": "segue-serve.service", "segue-scheduler.service": "segue-scheduler.service", "segue-worker@.service": "segue-worker@1.service"} {
		text := strings.ReplaceAll(read(t, filepath.Join("systemd", from)), "/usr/local/bin/segue", "/bin/sh")
		if err := os.WriteFile(filepath.Join(folder, to), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"segue-serve.service", "segue-scheduler.service", "segue-worker@1.service"} {
		out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", "--recursive-errors=no", filepath.Join(folder, name)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("systemd-analyze verify %s: %v\n%s", name, err, out)
		}
	}
}
