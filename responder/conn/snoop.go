package conn

import (
	"fmt"
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// Snoop opens a packet socket that receives the DHCP replies of other servers
// arriving on the interface, for diagnosis. Each Read gives one IPv4 packet,
// from its IP header on; Close ends a blocked Read. It listens to incoming IPv4 only: a tap on ETH_P_ALL would make the
// kernel clone every TFTP burst that we send (dev_queue_xmit_nit).
func Snoop(ifindex int) (*os.File, error) {
	proto := int(htons(unix.ETH_P_IP))
	// Protocol 0 until the filter is in place: nothing unfiltered is queued.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket for other servers' replies: %w", err)
	}
	f := os.NewFile(uintptr(fd), "snoop")
	if err := attachFilter(fd, dhcpReplies); err != nil {
		f.Close()
		return nil, fmt.Errorf("filter for other servers' replies: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(proto), Ifindex: ifindex}); err != nil {
		f.Close()
		return nil, fmt.Errorf("bind packet socket to interface %d: %w", ifindex, err)
	}
	return f, nil
}

// dhcpReplies passes whole IPv4 UDP packets from port 67 with BOOTP op 2. Offsets are from the IP header (SOCK_DGRAM).
var dhcpReplies = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 9, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_UDP, SkipTrue: 8},
	bpf.LoadAbsolute{Off: 6, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3fff, SkipTrue: 6}, // a fragment
	bpf.LoadMemShift{Off: 0},
	bpf.LoadIndirect{Off: 0, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packet.PortDHCPServer, SkipTrue: 3},
	bpf.LoadIndirect{Off: 8, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 2, SkipTrue: 1}, // BOOTREPLY
	bpf.RetConstant{Val: 1500},
	bpf.RetConstant{Val: 0},
}

func attachFilter(fd int, prog []bpf.Instruction) error {
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }
