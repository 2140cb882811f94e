// Package history remembers what happened to each machine: every request with
// its answer or the reason for silence, on whichever interface and tier it came;
// every transfer of a file; every step of its deployments; and what else
// somebody has to know who asks why it does not boot (Note).
//
// A machine's timeline is a ring of entries. What is the same as the entry before,
// and not long after it, is that entry once more: a count, a first and a last
// time. All is in memory and bounded: machines, entries of one, bytes of all.
//
// # Who is forgotten
//
// Anybody on the network can invent hardware addresses. So machines are of three
// classes: strangers, which were met with silence; those that were answered, or
// that an operator or a deployment names; and those that went on: they asked for
// something else after an answer, or fetched files. When there is no room, that
// machine goes which is of the lowest class and was not heard for longest. So a
// flood of strangers only drives out strangers, and one of strangers that are
// answered, where the policy answers everybody, none that goes on to boot. A part
// of the room is kept for strangers: a new machine that is not answered
// is what people look for.
//
// # Cost
//
// Observe is called for every request, by all workers. Machines are spread over
// shards, each with a lock that is held for a map look-up and a comparison.
// Nothing is allocated but for what is new. An entry holds strings of immutable
// snapshots, of which it keeps no more than these alive.
package history
