// Package loader puts the XDP program on an interface, opens the way from it
// to user space, and takes all of it away again.
//
// # The ladder
//
// Open tries the datapaths from the best to the plainest and keeps the first
// that works on this interface: native AF_XDP, generic AF_XDP, ring buffer
// (natively attached, else generic), socket. The last is no BPF at all: the
// Datapath is then only its reasons. For each step not taken Datapath.Why says
// why, in words for an operator.
//
// AF_XDP consumes what it takes. Where another server on this host or behind a
// bridge must see the requests too (Tee), the ring buffer serves UDP 67, and
// 4011 as well; a datapath forced to native or generic then names the attach
// mode alone.
//
// # Life
//
// The program is held by a bpf_link that is not pinned: it ends with the
// process, however that ends. What can outlive a killed daemon is
//
//   - a link whose descriptor another process has, or that was pinned by hand:
//     its program is inert as soon as the heartbeat is stale, and the next Open
//     or Detach removes it;
//   - VLAN receive offloads that were turned off: what they were is kept in a
//     file below the run directory until it is restored, by Close, Detach, or
//     the Close of the next start.
//
// A program is ours if it has our name and our maps. Another one is never
// replaced or removed (BusyError).
//
// Nothing is taken from the interface before the first Beat, nor once the
// heartbeat is older than Options.Stale.
//
// # Sending back
//
// What the program answers by XDP_TX is lost without a trace where the driver
// cannot send it: on a veth, as long as nothing polls at its other end. ProbeTX
// sends a frame to find out, WatchTX compares what was answered with what
// the driver counts as lost. Both are to be called again and again.
//
// # Templates
//
// Publish makes the program answer or ignore requests by itself (bpf.Template),
// Void ends that for all templates at once, with one store. Templates carry the
// Generation that was taken before the policy was read that they come from: one
// that comes late, from a policy that is no more, is refused.
//
// Slots and hash elements that the program may be reading are never used again.
// For a new generation it is told that there is none; when every run that began
// before has ended (an RCU grace period), the maps are emptied, and the number of
// the new one is stored with its first template. Maps that are full begin one,
// at most every 10 s: what is asked for then finds room.
//
// # Privileges
//
// CAP_BPF (program and maps), CAP_NET_ADMIN (XDP, offloads) and CAP_NET_RAW
// (AF_XDP and packet sockets) are needed and enough; AF_XDP memory is counted
// against RLIMIT_MEMLOCK unless there is CAP_IPC_LOCK. Finding out what a
// foreign program is, and removing leftovers, takes CAP_SYS_ADMIN, because the
// kernel opens BPF objects by id for nobody less.
//
// Functions that take an interface name speak of the network namespace of the
// calling thread.
package loader
