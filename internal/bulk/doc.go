// Package bulk plans what a run over many inputs would do before anything is sent:
// which inputs are good, which are there twice, which were paid for already, what
// the rest costs and how long it takes.
//
// [Make] reads inputs one after another and keeps a few numbers, a few examples,
// and 30 bytes for each input, so a plan of a million rows needs no more memory than
// they do; whoever needs every input is told of each ([Settings.Each]). A [Plan] has
// a hash that moves when the inputs, the prices or the accounts do: a run that names
// it does what was planned, or nothing.
//
// [Index] remembers what was paid for, by the audio's content and by everything that
// decides what comes out: see [Request].
package bulk
