// Package tftp is a TFTP server for boot files (RFC 1350, 2347, 2348, 2349, 7440)
// that serves hundreds of boot clients from a few event loops.
//
// # Shape
//
// A worker is one locked OS thread with one epoll. For each address served it
// has a socket on the request port, one of a SO_REUSEPORT group with the other
// workers', and a data socket of its own whose port is the server's transfer
// identifier (TID) of all its transfers: the client's address and port tell them
// apart. There is no goroutine and no socket per client. The kernel picks a
// group's socket by a hash of the addresses and ports, so while the set of
// sockets stands, one client address and port always reaches the same worker,
// and a repeated request finds its transfer.
//
// A transfer is a small state machine without pointers that does no I/O and is
// told the time (transfer.go). It says which blocks are due; the worker sends
// one burst of a transfer after the other, by turns of the clients (fair.go). A burst is one
// message whose iovecs alternate block headers, from one table of all 65,536,
// and slices of the mapped file; UDP_SEGMENT cuts it into datagrams. Where the
// kernel or the route cannot segment, each block is a message of the same batch.
//
// Who gets a place, and who waits for one, is the ledger's to say (ledger.go); who
// is answered at all, where the source may be forged, is up to sources.go.
//
// What few clients want is set aside (aside.go): package legacy serves uploads and
// reads in netascii with goroutines and sockets of its own.
//
// Opening a file may wait for the disk, so it happens in a few goroutines beside
// the loops (opener.go). So may sending from it: others keep the page cache ahead
// of the transfers, and a transfer whose bytes are not there waits without the
// loop (prefetch.go). Log lines are written by another (report.go).
//
// Who may have what can be somebody else's to say (Config.Gate): it is asked by the
// goroutines that open files, may put what it makes in a file's place, and may name a
// Follower that hears how the transfer goes (follow.go). A Follower can hold the last
// block back until it has made sure of something, as that a deployment is used up
// (worker_hold.go). A transfer without one is not touched by any of this.
//
// # Decisions
//
//   - Files are read as octets. netascii is ERROR 4 and writing ERROR 2, unless the
//     configuration has them; mail is ERROR 4.
//   - The final block goes out alone, after everything before it has left, from a
//     copy made before the file was compared with its state at the start
//     (content.File.Changed): no client completes with bytes of two versions.
//   - In single-port mode a worker has one socket for each address, in the group that
//     requests come to. The opcode tells requests from packets of transfers, and the
//     client's address and port one transfer from another. The kernel's choice of a
//     socket holds for all that a client sends, and for ICMP errors about it.
//   - A transfer is between two pairs of address and port: what its client sends to
//     another address of ours gets ERROR 5, as a stranger's packet does.
//   - Options: tsize is always the real size; blksize at most the MTU of the
//     interface the request came in on, less 32 (IPv4) or 52 (IPv6) bytes, unless
//     MaxBlksize says otherwise; windowsize at most MaxWindow; some networks get less of
//     both (Networks). timeout 1 to 60 s is
//     granted as asked, longer ones are left out, for a vanished client holds its
//     place for four times as long. What is out of range is left out, never an ERROR.
//   - An ERROR comes from the data port, as any other answer does; packets on a data port
//     that belong to no transfer get ERROR 5, some 50 a second and worker.
//   - A request that cannot be served now (too many transfers, too many lookups,
//     out of descriptors) gets silence: clients repeat requests, and give up on ERRORs.
//     Where there are too many transfers, it waits for its OACK instead, as long as
//     its client asks again, and gets the first place that falls vacant.
//   - Turns are by client address, then by transfer, and by bytes. A bandwidth cap
//     reserves a time for each client's next message, so that it is shared the same way.
//   - The wait for an acknowledgement is RFC 6298's, from the last block of a window on.
//     A negotiated timeout (RFC 2349) only bounds it: U-Boot asks for 5 s and would
//     stand still for as long after each loss.
//   - The first answer to silence is the last block alone (RFC 8985, 7), the next one
//     the whole window. Where server and clients share a machine that is busy with other
//     things, this is the difference between 0.2 % and 7 % of all blocks sent in vain.
//   - On a wire, a window leaves in bursts of 16 blocks that are spread over the round
//     trip. Simulated, 64 blocks through a queue of 32 before 1 Gbit/s: 9 MB take 4.0 s
//     as whole windows, 0.17 s so. Over loopback, veth and tap, where there is no such
//     queue, it only costs: 0.36 instead of 0.23 CPU seconds per GiB with windows of 64.
//   - Before a client has acknowledged anything, it gets one datagram, four times again by
//     timer and two for repeated requests in each of the pauses; then it is given up. How
//     many such requests a second an address and a network may make is bounded. An
//     acknowledged one does not count: it was no forgery.
//   - A request repeated before anything was acknowledged gets the same first
//     packet again. The same request from the same port later is a late duplicate if
//     the transfer moved within the last second, otherwise a client that starts over.
//   - ACK(base-1), the first block of a window lost, repeats the window once until
//     there is progress or a time-out, and not at all in lock-step (RFC 1123, 4.2.3.1).
//     An acknowledgement in the middle of a window restarts behind it. Neither repeats
//     anything when it comes sooner than any answer to that window could: it is about
//     an earlier sending, and answering it would keep the traffic doubled for good.
//   - ICMP port or protocol unreachable, or prohibited, ends the one transfer that it
//     is about. Host and network unreachable do not: a boot program that unpacks for
//     ten seconds answers no ARP meanwhile.
//   - When the final block was sent and nothing more is heard, the transfer counts
//     as complete and unconfirmed.
//   - A last block that is held back is asked for when it would leave: all others have,
//     and the client has acknowledged what it takes. So nobody uses something up by a forged
//     request, but for a file of one block without options. Meanwhile what is lost is sent
//     again, and the client has GiveUp to stay. Once let go, it is a block as any other.
//   - What the gate makes is kept in memory as long as it is sent, 256 MiB in all. It is
//     made again for a transfer that another process goes on with, and must be the same.
//   - Serve stops at once when its context ends, unless Config.Grace lets running
//     transfers finish first. Clients are told nothing: they ask again.
//   - With Config.State and Config.Sockets the end of the process, however it comes, ends
//     no transfer: its record is in a mapped file (package resume), its socket in the
//     service manager's store, and the next process goes on from the first block that was not
//     acknowledged (restore.go, inherit.go). Round trips are learnt anew. What does not fit
//     together is dropped and counted, and those clients get ERROR 5 from the port they
//     know. A file that is another by then is ERROR for its clients. The gate is asked
//     again, about a transfer with the same Opening.ID.
//   - A data socket of the last process goes on with its transfers even where the workers
//     have become fewer; without transfers it is closed. In single-port mode the number of
//     sockets does not change as long as somebody keeps them.
package tftp
