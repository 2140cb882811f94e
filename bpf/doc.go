// Package bpf is the ABI between the XDP program (pxe.c) and user space: the
// committed objects, the names of their maps, and the types that maps and ring
// buffer records are made of. It loads and attaches nothing; package loader does.
//
// The program recognises the DHCP requests of PXE and HTTP boot clients that
// are meant for this host, answers or ignores those that a [Template] is there
// for, and hands the others to user space as Settings say. In order, each step
// passing the packet on for a reason of its own:
//
//  1. the heartbeat is fresh;
//  2. Ethernet with at most two VLAN tags, IPv4 without options or fragments,
//     UDP to port 67 or 4011;
//  3. Settings name a way for that port;
//  4. the frame is for us: the broadcast address on both layers, or an entry
//     of addrs_map for its address and VLANs with its destination MAC;
//  5. checksum and lengths of the headers are right (the UDP checksum is not
//     looked at: local senders leave it partial), and the frame is at most
//     MaxFrame long, in one buffer;
//  6. a BOOTREQUEST with the DHCP magic; here templates are tried;
//  7. its options are well-formed to the end option or the end of the message (a
//     missing end option is tolerated, as user space does), at most 64 of them;
//  8. its first vendor class (option 60) begins with one that classes_map names.
//
// Then the guard (guard.h) says whether the request gets any work: [Guard] holds
// token buckets for each client and budgets for all of them. It also watches over
// what ends in our own sockets although the program passes it: the file server's
// port, and 4011.
//
// Where option 52 says so, the fields file and sname are walked as well, in
// the order of RFC 2131 §4.1; option 60 counts wherever it stands. An option 52
// that is not one byte of 1, 2 or 3 makes the message malformed. A vendor class
// split over several options (RFC 3396) is judged by its first part.
//
// Every run of the program ends in exactly one [Reason], which decides the
// action and is counted per CPU in counters_map.
//
// # Templates
//
// A template is a request pattern and what to do with a request that fits it:
// a reply, written over the request and sent back (XDP_TX), or silence. All
// bytes of the DHCP message must be those of the pattern but the ones that its
// mask leaves out, because the reply merely repeats them or nobody reads them;
// so must destination port and address, length and VLAN ids. That requests and
// replies are at most MaxMessage long, and the frame is in one buffer, goes
// without saying; what is not so goes on to step 7 as if there were no template.
//
// The program finds a pattern by a hash of what can differ, but goes by a
// comparison of all bytes: two patterns with one hash cost an answer in the
// kernel, never give a wrong one. Where the decision depends on who asks, a
// second look-up by hardware address, UUID and, on 4011, addresses follows.
//
// A word in generation_map, read first and once, must be the number that
// pattern and identity carry; storing another one makes all templates void.
//
// What a template decided is counted by outcome in outcomes_map, exactly, and
// told in events_map as far as event_rate and the room there go; events that
// were not written are counted as well.
//
// Until the frame can have the reply's length nothing is written to it; from
// then on the program leaves by XDP_TX, or XDP_ABORTED whatever goes wrong.
//
// [Template.Apply] says in plain Go what the program does; tests hold the one
// against the other.
//
// How the objects are made is in gen.go; what the C sources and the objects
// are licensed under is in LICENSE.
package bpf
