// Package embedded runs a Redis for people who have none running: what an
// empty redis.url means.
//
// Where a redis-server (or valkey-server) is installed it is started on a
// private unix socket with an append-only file that is flushed to the disk
// before any write is answered. That is what makes the intent of a paid
// request survive a power cut, and it was chosen by measurement (Redis 7.0.15,
// ext4 on a virtual disk, 2 cores, SET of 200 bytes):
//
//	appendfsync           always               everysec            always costs
//	1 client              4.5k/s, p50 0.21 ms  13.9k/s, p50 0.06 ms  3.1 x
//	64 clients            53k/s, p50 1.0 ms    108k/s, p50 0.30 ms   2.0 x
//	4 clients, pipelined  99k/s                229k/s                2.3 x
//
// Concurrent writes share one flush, so the price falls as load grows, and a
// fifth of a millisecond is nothing beside a provider's answer. With everysec
// up to two seconds of acknowledged intents go with the power, and each of
// them is a song paid twice.
//
// Where no server is installed, an in-process stand-in (miniredis) serves the
// same socket, and its content is written to a file. What it does not promise:
//
//   - A write is on disk after a second, not when it is answered: SIGKILL, a
//     crash or a power cut loses up to the last second of writes, and more
//     once the state is so large that writing it takes over 0.1 s. Durable says
//     false, and spending real credits on it must be refused or confirmed.
//   - Time to live is counted in steps of 0.1 s (up to 1 s when there are many
//     thousand keys): a key may vanish that much early.
//   - Strings, hashes, lists, sets and sorted sets of database 0 are kept.
//     Streams, HyperLogLogs, the lives of single hash fields and other
//     databases are not.
//   - It is made for trying Segue out: one lock, one core, everything in
//     memory, and a full rewrite of the file whenever something changed.
//
// When a server is installed later, the stand-in's content moves into it at
// the next Start. The other way round is refused: starting empty beside an
// append-only file would forget what was paid for.
//
// Everything lives in one private folder, Options.Dir/redis. The server is out
// of reach of a terminal's Ctrl-C, so that workers can drain against it; a
// supervisor that signals every process of a service, as systemd does by
// default, must be told to signal the main one alone (KillMode=mixed).
package embedded
