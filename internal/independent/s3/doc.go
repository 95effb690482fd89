// Package s3 holds kkiai's transfer of audio to a storage service against a store
// and a signer that nobody here wrote: versitygw checks every signature, policy
// and length, and minio-go signs the tickets that kkiai would hand out. It is a
// module of its own, so that nothing which is built needs either.
package s3
