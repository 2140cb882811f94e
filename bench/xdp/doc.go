// Package xdp is the load generator's part in the kernel: XDP programs that
// send requests and count replies where no packet costs a system call. It is
// for saturation; for a rate that is kept, bench/port sends.
//
// # Sending
//
// BPF_PROG_RUN with BPF_F_TEST_XDP_LIVE_FRAMES (Linux 5.18) runs a program on
// frames of its own and sends those that it returns XDP_TX for out of the
// device. Their pages are recycled, with whatever the last receiver left in
// them, so the program writes the whole request each time: a [Template], and in
// it the xid, hardware address and UUID of the next machine. Requests have
// serial numbers; the xid is the serial number added to the first xid, and the
// machine is the serial number modulo the number of machines.
//
// It sends as fast as it goes ([Gun.Fire]), or keeps a rate ([Gun.Pace]): then
// the program looks at the clock for each frame that it is given, and drops it
// when none is due. That costs 0.1 µs a frame, holds up nothing, and is
// exact to the 64 frames that the kernel has run the program for before it sends them.
//
// A [Flood] sends one frame with random numbers in it, at a rate that is kept to
// from one tenth of a second to the next, and counts no replies.
//
// # Counting
//
// Each request has a slot, by its serial number, with the time that it left. A
// program on the generator's interface looks replies up there: one that fits
// (BOOTREPLY, xid, chaddr, no address offered) and is the first is an answer,
// in time or late; every other has a [Verdict] of its own. Times go into a
// histogram per CPU. What costs too much at this speed, the reply's options,
// user space looks at for some of the good replies and for all odd ones
// ([Gun.Samples]).
//
// A server that sends back what it gets ([Bounce]) can be loaded and counted in
// the same way ([Options.Bounced]): it is what a machine can do at most.
//
// So of any run: sent = answered + late + wrong (had replies, and none was
// good) + lost, where lost is the remainder.
// A request is forgotten when as many as there are slots have followed it; an
// answer after that is Stale, and the request stays lost.
//
// A veth queues at most 256 frames for its peer, and refuses what comes beyond.
// The interface counts those, and they are taken off what was sent.
//
// # Else
//
// [Bounce] and the sink ([Options.Sink]) are for what a machine can do at all
// (bench/limits). [Redirect] gives frames to AF_XDP sockets (bench/port).
//
// How the objects are made is in gen.go; what they are licensed under is in LICENSE.
package xdp
