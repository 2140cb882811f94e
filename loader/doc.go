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
// Program, maps and link are pinned below Options.PinDir, in a directory for the
// interface that is named by the network namespace's cookie and the interface's
// number. So they outlive the process, however it ends:
//
//	COOKIE-IFINDEX/link           the bpf_link
//	COOKIE-IFINDEX/program        the program that it holds
//	COOKIE-IFINDEX/program-next   the one that it is about to get
//	COOKIE-IFINDEX/maps-LAYOUT/…  the maps, by name
//
// Whoever has that directory locked (flock(2), which ends with the process) is
// the interface's daemon: another start fails (ErrRunning). Who gets the lock
// takes over what is there. The link's program is replaced in place
// (BPF_LINK_UPDATE): no packet meets none, or two. If the maps are of the same
// layout they serve on, with what is in them: the templates answer through the
// change, until Adopt keeps those that the new daemon would publish itself
// (EndFormer ends all), records in the ring buffer wait, the heartbeat
// of the former daemon holds until it is stale, counters go on. LAYOUT is a hash
// of bpf.Version and of kinds, sizes and types of all maps; any other version,
// newer or older, makes maps of its own. Nothing rests on the pins agreeing with
// each other: what is missing, of somebody else's or half done is made anew. A
// link is ours only if the program that it has is pinned beside it under our
// name; that takes no privilege to know.
//
// Close removes all of it. HandOver leaves it to a successor. After a kill it
// stays as well, passing everything once the heartbeat is stale, until the next
// Open, Detach or, where the interface is gone, DetachGone.
//
// Two daemons cannot share the AF_XDP socket of a queue, and a closed one leaves
// its map by itself. So between two lives requests for it go to the stack
// (reason no_socket), where sockets may wait for them; Yield begins that.
//
// Where there is no bpffs, nothing is pinned, and the link ends with the process.
// A program that outlives its daemon all the same, because another process has
// its link or attached a copy, is told by name and maps, and is removed once it
// holds its heartbeat stale. Another program is never replaced or removed
// (BusyError).
//
// VLAN receive offloads that were turned off outlive a process, too: what they
// were is kept in a file below the run directory until it is restored, by Close,
// Detach, or the Close of a later start.
//
// But for what a former daemon left, nothing is taken from the interface before
// the first Beat, and nothing once the heartbeat is older than Options.Stale.
//
// # The operator's program
//
// With Options.External the program is loaded and attached by the operator, by
// xdp-loader beside others for example, and its maps are pinned below PinDir in a
// directory with the interface's name. Open then only opens them, in the mode that
// the program is attached in, and Close leaves them, delivering nothing.
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
// foreign program is, and removing leftovers that are not pinned, takes
// CAP_SYS_ADMIN, because the kernel opens BPF objects by id for nobody less.
//
// Functions that take an interface name speak of the network namespace of the
// calling thread.
package loader
