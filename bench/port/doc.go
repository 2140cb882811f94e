// Package port is a load generator's way to the wire: raw Ethernet frames in
// batches, by AF_XDP or by a packet socket, one Port for each queue.
//
// An AF_XDP port takes everything that arrives on its queue: nothing of it
// reaches the kernel's stack, so that the generator answers ARP itself. A packet
// socket gets a copy; the stack sees the same frames.
//
// VLAN tags stand in the frames, both ways. One that the sender's kernel keeps
// in a packet's metadata, as it does for VLAN devices on veth, is put back by a
// packet port; AF_XDP does not see it: such a frame looks untagged there.
package port
