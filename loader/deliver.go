package loader

import (
	"fmt"
	"strings"

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

// PortTaken names who holds the UDP port that err says is in use.
func PortTaken(port uint16, err error) *PortTakenError {
	holders, _ := netdev.UDPHolders(port) // without names it is still taken
	return &PortTakenError{Port: port, Holders: holders, Err: err}
}

// settings returns what the program is told for a tier. Port 4011 is never teed:
// the original would come to our own socket there, and be answered once more.
// So a broadcast to 4011, too, is ours alone on a bridge port; but clients
// broadcast to 67 only, and what they send to 4011 has one receiver.
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
