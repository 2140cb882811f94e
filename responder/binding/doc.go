// Package binding says which machine is behind an address.
//
// A TFTP client shows nothing but its address. Which machine that is was told
// before, by its own DHCPREQUEST: option 50 on port 67, ciaddr or the source on
// port 4011 (Bind). What the machine was answered with is kept beside it
// (Answered), and whoever serves files asks for both (Who).
//
// # Claims
//
// An address belongs to the machine that claimed it last, and a machine that
// claims another address gives up the old one: firmware and the iPXE that it loads
// show the DHCP server different client identifiers, and often get two leases
// within seconds. But where two machines claim one address within Contest,
// nobody has it until one of them claims it and no other did for that long. DHCP
// servers do not lease an address to somebody else within seconds, so one of the
// two is forged, and which one cannot be seen: it may be the first as well as
// the second. Contest is longer than the 4 s after which a client that gets no
// answer repeats its DHCPREQUEST (RFC 2131 §4.1), so both are heard in it, and
// shorter than it takes to boot: a single forged claim costs its victim the
// restricted files until it asks next, as iPXE and port 4011 do.
//
// That is no authentication. Who can send any frame on the network of the clients
// can be any of them, for the DHCP server as well. It keeps those apart who do
// not forge, and from a race nobody gains what he would not get without it.
//
// A claim holds for Lifetime. What is not heard is not known: renewals of a lease
// go to the DHCP server alone.
//
// # Memory
//
// The table has a fixed number of places, each of a fixed size, in a file that is
// mapped into memory (package mapfile): the next process goes on with it, also
// after kill -9. The first word of a place is a checksum over the rest, cleared
// before anything changes and stored last, so a place that a killed process left
// half written is found out and dropped. A file that is damaged, foreign, or
// of another version is not gone on with, and the table begins anew.
//
// What the process itself needs often, or must be able to trust, it keeps a copy
// of, with an index by address and one by machine.
//
// When all places are taken, the machine goes that was not heard for longest, of
// those first that were not both answered and seen with an address: strangers
// with invented addresses have to say twice as much to push a client out.
package binding
