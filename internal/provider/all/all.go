// Package all lists the drivers that Segue is built with.
package all

import (
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/kie"
	"github.com/segue-audio/segue/internal/provider/kkiai"
	"github.com/segue-audio/segue/internal/provider/mountsea"
)

//go:generate go run generate.go

// Providers returns a registry of every driver, one line each.
func Providers() *provider.Registry {
	r := provider.NewRegistry()
	r.Register(kie.Apikley())
	r.Register(kie.KIE())
	r.Register(kkiai.Info(), kkiai.Open)
	r.Register(mountsea.Info(), mountsea.Open)
	r.Register(simInfo(), openSim)
	r.Register(kie.SunoAPI())
	return r
}
