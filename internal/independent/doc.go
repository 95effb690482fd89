// Package independent holds the drivers against programs that nobody here wrote.
// Driver and simulator come from one reading of a vendor's page; what judges here
// comes from elsewhere: Prism, which knows a contract and nothing else, and in
// the module s3 below, an object store that checks what it is sent.
package independent
