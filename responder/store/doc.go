// Package store keeps what must outlive the daemon: a small key-value store
// with transactions, revisions and watching. It knows nothing of what is kept.
//
// There are two, with the same answers (conformance_test.go holds both to them):
//
//   - Bolt, one file of this machine's, the default. It is one process's at a time.
//   - Etcd, for fleets: all servers share what is kept and see each other's changes.
//
// Every commit that changes something has a revision, one more than the last;
// an item's revision is that of the commit that wrote it last. A check on it
// makes read-decide-write safe among any number of servers: of two that consume
// the same once-deployment, one gets a ConflictError.
//
// # Durability and atomicity
//
// What Commit has acknowledged is on the disk (with etcd: on the disks of a
// majority). A Txn is done wholly or not at all, always. Bulk is for more than
// one transaction holds: it packs Txns together, a few thousand into one write of
// the file, or as many as fit into each etcd transaction, and so is fast, but
// it is no transaction itself: of 10,000 deployments some can be refused, and some
// done when a server dies. Results say which; with checks the rest can be given again.
//
// # The file
//
// A bbolt file with one bucket, "xdpxe" (record.go). bbolt maps the file into
// memory and trusts it: a torn one is a panic or a SIGBUS somewhere later. So
// opening first walks the file with plain reads (verify.go) and refuses what is
// torn, not ours, or of a newer xdpxe, saying what to do. Each record carries a
// checksum. An older format is migrated, and the file as it was is kept beside it.
//
// # etcd
//
// All keys are below one prefix. A key "format" there fences: every write demands
// that it is this xdpxe's, so that none of an older release writes into data that
// a newer one has migrated. No etcd is needed to open the store: what needs one
// fails with ErrUnavailable within a bounded time, Health says since when, and
// watches go on where they were when it is back. An etcd restored from a backup is
// another one (its cluster id differs): watches end, so that all is read again.
package store
