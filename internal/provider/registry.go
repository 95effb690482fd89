package provider

import (
	"fmt"
	"slices"
	"strings"

	"github.com/segue-audio/segue/internal/fault"
)

// Open makes a driver for one account.
type Open func(Config) (Driver, error)

// Registry holds the drivers that a program was built with. There is no
// registration by import: package all lists them, one line each.
type Registry struct {
	entries map[string]entry
}

type entry struct {
	info Info
	open Open
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{entries: map[string]entry{}} }

// Register adds a driver under info.Name. A name registered twice is a defect
// of the program and panics.
func (r *Registry) Register(info Info, open Open) {
	if _, taken := r.entries[info.Name]; taken {
		panic("provider: driver " + info.Name + " registered twice")
	}
	r.entries[info.Name] = entry{info, open}
}

// Names lists the drivers, sorted.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.entries))
	for name := range r.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Info gives the facts about a driver; an unknown name is invalid.
func (r *Registry) Info(name string) (Info, error) {
	e, ok := r.entries[name]
	if !ok {
		return Info{}, r.unknown(name)
	}
	return e.info, nil
}

// Open opens the named driver; an unknown name is invalid.
func (r *Registry) Open(name string, c Config) (Driver, error) {
	e, ok := r.entries[name]
	if !ok {
		return nil, r.unknown(name)
	}
	return e.open(c)
}

func (r *Registry) unknown(name string) error {
	return fault.Uncharged(fault.Invalid, "provider.Open",
		fmt.Errorf("there is no driver %q (there are %s)", name, strings.Join(r.Names(), ", ")))
}
