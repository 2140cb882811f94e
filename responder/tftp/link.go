package tftp

import (
	"golang.org/x/sys/unix"
)

// autoBurst is the burst, in blocks, for clients that a wire leads to: some
// 23 kB, which the ring of a slow network card and a switch's port take at once.
const autoBurst = 16

// burst returns how many blocks may leave at once to clients on an interface.
func (s *Server) burst(fd int, ifindex uint32) uint16 {
	if s.cfg.Burst != 0 {
		return uint16(s.cfg.Burst)
	}
	if endsHere(fd, ifindex) {
		return 0
	}
	return autoBurst
}

// endsHere says whether what leaves an interface arrives within this machine: in
// a socket, a container or a virtual machine. There is no wire that a burst
// could be too fast for, and it costs less than its parts.
func endsHere(fd int, ifindex uint32) bool {
	ifr, err := unix.NewIfreq("?") // SIOCGIFNAME reads the index and writes the name
	if err != nil {
		return false
	}
	ifr.SetUint32(ifindex)
	if unix.IoctlIfreq(fd, unix.SIOCGIFNAME, ifr) != nil {
		return false
	}
	if driver, err := unix.IoctlGetEthtoolDrvinfo(fd, ifr.Name()); err == nil {
		switch unix.ByteSliceToString(driver.Driver[:]) {
		case "veth", "tun", "dummy":
			return true
		}
	}
	return unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr) == nil && ifr.Uint16()&unix.IFF_LOOPBACK != 0
}
