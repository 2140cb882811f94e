// Package fleet divides machines among boot servers that know of each other.
//
// All servers see a DISCOVER (or all those that a relay sends it to). Without a
// store in common each answers and the client takes the first offer. With one,
// each machine has an owner among the living members, by rendezvous hashing of
// its hardware address: every member computes for every other one a number from
// the two names, and the highest is the owner, the second highest is next in
// rank, and so on. There is nothing to agree on but who is there. When a member
// goes, only its machines get another owner; when one comes, it takes its share
// from all others.
//
// The owner answers at once. The next in rank answers when the client asks for
// the second time, the one after that the third time: so a machine whose owner
// died a moment ago misses one DISCOVER, also while nobody knows yet. Once the
// owner is no longer a member, the next is the owner.
//
// Only DISCOVERs are divided. Whoever is asked on port 4011 or by TFTP answers.
//
// # No gap
//
// Members do not learn of a change at the same moment. What closes the gap is
// that a member counts itself in earlier, and out later, than the others do:
//
//   - who joins counts itself a member before it says so,
//   - who drains goes on as if it did not for Grace after it has said so,
//   - who has lost touch with the others goes on with the members that it knew.
//
// Then two may answer one DISCOVER for a moment, which is how it is without
// a fleet; but never none.
//
// A draining member ranks behind all that do not drain: it answers only if none
// of them does. 4011 and TFTP go on, until the last client has what it wants.
//
// The hash is a protocol between servers of different releases: it never changes
// (TestHashIsFixed). Everything here is pure; who is there is found out by
// package membership.
package fleet
