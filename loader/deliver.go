package loader

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
)

const portDHCPServer = 67

// ChooseDeliver says what DeliverAuto means on an interface now, and why: Tee
// when another process holds UDP 67 or the interface is a bridge port.
func ChooseDeliver(f *netdev.Facts) (Deliver, string, error) {
	if f.Bridge != "" {
		return Tee, fmt.Sprintf("%s is a port of bridge %s, behind which others may need to see requests", f.Name, f.Bridge), nil
	}
	holders, err := netdev.UDPHolders(portDHCPServer)
	if err != nil {
		return Steal, "", err
	}
	if len(holders) > 0 {
		return Tee, fmt.Sprintf("UDP port 67 is held by %s", names(holders)), nil
	}
	return Steal, "nobody else holds UDP port 67", nil
}

func names(holders []netdev.Holder) string {
	var out []string
	seen := map[string]bool{}
	for _, h := range holders {
		if s := h.String(); !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return strings.Join(out, ", ")
}

// PortTakenError says who has a UDP port that is needed. It satisfies
// errors.Is(err, syscall.EADDRINUSE).
type PortTakenError struct {
	Port    uint16
	Holders []netdev.Holder // may be empty: nobody could be found
	Err     error
}

func (e *PortTakenError) Error() string {
	who := "another process"
	if len(e.Holders) > 0 {
		who = names(e.Holders)
	}
	return fmt.Sprintf("UDP port %d is taken by %s", e.Port, who)
}

// Unwrap returns the kernel's error.
func (e *PortTakenError) Unwrap() error { return e.Err }

// CheckPort reports whether a UDP socket of our own can have port on the
// interface; a *PortTakenError names the process that has it. It asks without
// SO_REUSEADDR: two servers that share a port that way both get broadcasts,
// but only one gets what is sent to its address.
func CheckPort(iface string, port uint16) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket to try UDP port %d: %w", port, err)
	}
	defer unix.Close(fd)
	if err := unix.BindToDevice(fd, iface); err != nil {
		return fmt.Errorf("interface %s: socket to try UDP port %d: %w", iface, port, err)
	}
	err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)})
	switch err {
	case nil:
		return nil
	case unix.EADDRINUSE:
		holders, _ := netdev.UDPHolders(port) // without names it is still taken
		return &PortTakenError{Port: port, Holders: holders, Err: err}
	}
	return fmt.Errorf("interface %s: UDP port %d: %w", iface, port, err)
}

// settings returns what the program is told for a tier.
func settings(t Tier, d Deliver) bpf.Settings {
	s := bpf.Settings{Deliver67: bpf.DeliverXSK, Deliver4011: bpf.DeliverXSK}
	if t == Ringbuf {
		s = bpf.Settings{Deliver67: bpf.DeliverRingSteal, Deliver4011: bpf.DeliverRingSteal}
	}
	if d == Tee {
		s.Deliver67 = bpf.DeliverRingTee
	}
	return s
}
