package storm

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Promiscuous makes an interface of the calling thread's network namespace take
// frames for all addresses, as it must where cards filter them: machines have
// their own. It needs CAP_NET_RAW, and ends with the returned function or the process.
func Promiscuous(ifname string) (end func() error, err error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("promiscuous mode: %s: %w", ifname, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // of no protocol: it receives nothing
	if err != nil {
		return nil, fmt.Errorf("promiscuous mode: %s: packet socket: %w", ifname, err)
	}
	m := unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("promiscuous mode: %s: %w", ifname, err)
	}
	return func() error { return unix.Close(fd) }, nil
}
