// Package deploy says which machines boot what, once or always: deployments,
// the machines and groups that they are for, approvals, the ignore list.
//
// # Deployments
//
// A Deployment names a machine, by hardware address or UUID, or a group, and a
// profile. One that stands answers for as long as it is there; one for once is
// used up when its milestone is reached: the boot program is fetched, a named
// file is, or the installer calls back. Of several for one machine Find gives
// the one that is used up before one that stands, one that names the machine
// before its group's, and then the newer: the operator's last word counts, and
// when it is used up, what stood before stands again.
//
// How far a machine is, is its Run, a record by itself: a group's deployment has
// one for each member. Run.Next is the state machine: a function of the run,
// an Event and a time. What needs no event is not stored but found when it is
// looked at (Run.At): that the window closed, that an operator cancelled.
//
// # Never twice
//
// Before the last block of a once-deployment's milestone goes to the machine,
// the server asks with Act, and must not send the block unless it returns nil.
// Act writes that the run is consumed, and by which transfer, on the condition
// that deployment and run are at the revisions it has seen. So of all servers,
// and of a last block and a cancellation, one gets through; when it returns,
// the store has it on disk. The machine's acknowledgement then makes it Done. If
// that never comes, since the server died just there, nobody knows whether the
// machine has the block: after ConfirmWithin the run counts as Failed, until
// an operator arms it again. If the store did not answer, so that it is not known
// whether the run is consumed, the same transfer may ask again, and no other.
//
// With milestone nbp a machine whose boot program is iPXE gets nothing when iPXE
// asks next: the deployment is used up. Name a file that iPXE fetches.
//
// # The catalogue
//
// A Catalogue keeps all that in a store that servers may share, and follows what
// others write there. In memory it has a Snapshot: persistent tries (trie.go)
// below one pointer, so a change makes another snapshot in a few microseconds
// and readers need no lock. Find asks it per packet. Its own writes are in the
// snapshot before they are acknowledged, ahead of the watch; revisions tell
// which of the two is newer.
//
// Events that nothing depends on (Note: asked, began, progress) and sightings
// of machines (See) are gathered and written together, some times a second.
// Act, Create and the other changes wait; those that come at once share a write.
//
// While the store does not answer, Find goes on with standing deployments and
// holds back those for once (StoreGone), changes are refused with the store's
// error, and events wait, to be written when it is back.
//
// # Machines
//
// A rule can hold unknown machines: See records what is known of them, and they
// are answered once approved. Anybody on the network can invent addresses, so
// memory, records and writes a second are bounded, and machines that ask again
// go before those that asked once. UUIDs that several machines bear are told of
// (Duplicates, Explain); placeholders of vendors are no UUIDs at all.
package deploy
