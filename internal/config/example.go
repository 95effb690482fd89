package config

import _ "embed" // for the documented file

//go:embed example.yaml
var example string

// Example is the documented configuration file: every key at its default,
// commented out, so that it can be written to disk and used as it is.
func Example() string { return example }
