// Package pcapload replays the client side of a capture against a server, and
// holds what it answers against what the capture shows.
//
// A Plan is made of the capture: the DHCP requests to ports 67 and 4011, when
// they were sent, and which answers of the captured boot server belong to them;
// none is an expectation too. A Session, without I/O and clock, makes of it what
// is sent: each machine of the capture becomes as many as asked for, each with a
// MAC, UUID and transaction ids of its own (consistent in all its requests),
// the captured server's address becomes that of the server under test. Run is
// the driver with a port and a clock.
//
// Answers are compared by shape, not by bytes: message type, which options there
// are, boot file, vendor class, the kind of addresses (none, the server's,
// another), ports, and whether the request's identity came back. Each difference
// is counted under its reason.
//
// What it does not do: TFTP requests are left to xdpxe-bench tftp. Leases are
// not followed: what the capture's DHCP server answered is no expectation, and
// clients with an address send from the generator's own. Relayed requests are
// sent only for relays whose address the generator has.
package pcapload
