package deploy_test

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// composition is the part of compose.yaml that is promised something about.
type composition struct {
	Services map[string]service `yaml:"services"`
	Networks map[string]struct {
		Internal bool `yaml:"internal"`
	} `yaml:"networks"`
	Volumes map[string]any `yaml:"volumes"`
	Secrets map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

type service struct {
	Image           string             `yaml:"image"`
	Command         []string           `yaml:"command"`
	StopGracePeriod string             `yaml:"stop_grace_period"`
	Environment     map[string]*string `yaml:"environment"`
	Networks        []string           `yaml:"networks"`
	Secrets         []string           `yaml:"secrets"`
	Volumes         []string           `yaml:"volumes"`
	Ports           []string           `yaml:"ports"`
	Profiles        []string           `yaml:"profiles"`
	ReadOnly        bool               `yaml:"read_only"`
	CapDrop         []string           `yaml:"cap_drop"`
	SecurityOpt     []string           `yaml:"security_opt"`
	Healthcheck     struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
	Deploy struct {
		Replicas int `yaml:"replicas"`
	} `yaml:"deploy"`
}

// defaulted gives ${NAME:-value} its value, as compose does in a shell that
// sets nothing.
func defaulted(s string) string {
	return regexp.MustCompile(`\$\{\w+:-([^}]*)\}`).ReplaceAllString(s, "$1")
}

func compose(t *testing.T) composition {
	t.Helper()
	var c composition
	if err := yaml.Unmarshal([]byte(defaulted(read(t, "compose.yaml"))), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// ours are the services that run our image.
func (c composition) ours() map[string]service {
	found := maps.Clone(c.Services)
	maps.DeleteFunc(found, func(_ string, s service) bool { return !strings.HasPrefix(s.Image, "segue:") })
	return found
}

func TestComposeServices(t *testing.T) {
	c := compose(t)
	want := []string{"redis", "scheduler", "serve", "sim", "worker"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(c.Services))); diff != "" {
		t.Fatalf("services (-want +got):\n%s", diff)
	}
	for name, s := range c.Services {
		checkImage(t, name, s.Image)
	}
	if got := c.Services["worker"].Deploy.Replicas; got != 2 {
		t.Errorf("%d workers, want 2: one more than nothing would be noticed with", got)
	}
	if diff := cmp.Diff([]string{"sim"}, c.Services["sim"].Profiles); diff != "" {
		t.Errorf("sim starts unasked, beside real providers (-want +got):\n%s", diff)
	}
}

func TestComposeRoles(t *testing.T) {
	for name, s := range compose(t).ours() {
		checkCommand(t, name, s.Command)
		checkStop(t, name, s.StopGracePeriod)
		if s.Command[0] != name {
			t.Errorf("service %s runs `segue %s`", name, s.Command[0])
		}
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("service %s: read_only %v, cap_drop %q, security_opt %q; want all three closed", name, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
	}
}

// TestComposeRedis: with any other setting Segue would refuse to spend, and
// rightly so.
func TestComposeRedis(t *testing.T) {
	redis := compose(t).Services["redis"]
	command := strings.Join(redis.Command, " ")
	for _, want := range []string{"--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"} {
		if !strings.Contains(command, want) {
			t.Errorf("redis runs as %q, want %q in it", command, want)
		}
	}
	if diff := cmp.Diff([]string{"redis:/data"}, redis.Volumes); diff != "" {
		t.Errorf("what redis writes does not outlive it (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"state"}, redis.Networks); diff != "" {
		t.Errorf("redis has no password, so nobody else may reach it (-want +got):\n%s", diff)
	}
	if !compose(t).Networks["state"].Internal {
		t.Error("network state has a way out, want it internal")
	}
}

// TestComposeExposesLoopbackAlone: docker publishes past the host's firewall.
func TestComposeExposesLoopbackAlone(t *testing.T) {
	published := 0
	for name, s := range compose(t).Services {
		for _, p := range s.Ports {
			published++
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("service %s publishes %s, want it on 127.0.0.1 alone", name, p)
			}
		}
	}
	if published != 1 {
		t.Errorf("%d ports published, want 1", published)
	}
}

// TestComposeDeclares: what a service uses is declared, and comes from where
// the README says.
func TestComposeDeclares(t *testing.T) {
	c := compose(t)
	for name, s := range c.Services {
		for _, n := range s.Networks {
			if _, ok := c.Networks[n]; !ok {
				t.Errorf("service %s: network %s is not declared", name, n)
			}
		}
		for _, secret := range s.Secrets {
			if got, want := c.Secrets[secret].File, "./secrets/"+secret; got != want {
				t.Errorf("service %s: secret %s comes from %q, want %q", name, secret, got, want)
			}
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			_, declared := c.Volumes[source]
			if !declared && !strings.HasPrefix(source, "./") {
				t.Errorf("service %s: volume %s is not declared", name, source)
			}
		}
	}
	for _, role := range []string{"serve", "worker"} {
		for _, want := range []string{"segue:/var/lib/segue", "./inbox:/inbox:ro", "./segue.yaml:/etc/segue/segue.yaml:ro"} {
			if !slices.Contains(c.Services[role].Volumes, want) {
				t.Errorf("service %s has %q, want %s as well: both must see the same files", role, c.Services[role].Volumes, want)
			}
		}
	}
}

// TestComposeConfiguration loads what each role is given: every variable is a
// key, every key is valid, and the parts meet each other.
func TestComposeConfiguration(t *testing.T) {
	for _, role := range []string{"scheduler", "serve", "worker"} {
		for _, file := range []string{"segue.yaml", "segue.sim.yaml"} {
			t.Run(role+" "+file, func(t *testing.T) {
				var environ []string
				for name, value := range compose(t).Services[role].Environment {
					if value != nil {
						environ = append(environ, name+"="+*value)
					}
				}
				c := load(t, file, environ)
				got := []string{c.Redis.URL.Reveal(), c.StateDir, c.Archive.URL, c.Log.Format}
				want := []string{"redis://redis:6379/0", "/var/lib/segue", "file:///var/lib/segue/archive", "json"}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("redis, state, archive, log (-want +got):\n%s", diff)
				}
				addr := map[string]string{"serve": "0.0.0.0:8080", "worker": "127.0.0.1:8080", "scheduler": "127.0.0.1:8080"}
				if c.Server.Addr != addr[role] {
					t.Errorf("server.addr %q, want %q", c.Server.Addr, addr[role])
				}
			})
		}
	}
}

// TestComposeHealth asks serve for what it really has, with what the image
// really holds.
func TestComposeHealth(t *testing.T) {
	probe := compose(t).Services["serve"].Healthcheck.Test
	want := []string{"CMD", "/bin/wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/healthz"}
	if diff := cmp.Diff(want, probe); diff != "" {
		t.Fatalf("health check of serve (-want +got):\n%s", diff)
	}
	if !strings.Contains(read(t, "Dockerfile"), " /bin/busybox "+probe[1]+"\n") {
		t.Errorf("the image has no %s", probe[1])
	}
}

// TestSecretsStayHere: neither git nor an image build takes them along.
func TestSecretsStayHere(t *testing.T) {
	for file, line := range map[string]string{".gitignore": "/secrets/", filepath.Join("..", ".dockerignore"): "deploy/secrets"} {
		if !slices.Contains(strings.Split(read(t, file), "\n"), line) {
			t.Errorf("%s has no line %q", file, line)
		}
	}
}
