package gun

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
)

// What is asked for.
type What uint8

// What there is.
const (
	Discover   What = iota // DISCOVER to port 67
	BootServer             // REQUEST to port 4011
	Both                   // one after the other, each machine's
)

var whatNames = [...]string{"discover", "bootserver", "both"}

func (w What) String() string { return whatNames[w] }

// ParseWhat reads a name.
func ParseWhat(name string) (What, error) {
	for i, n := range whatNames {
		if n == name {
			return What(i), nil
		}
	}
	return 0, fmt.Errorf("what %q: want discover, bootserver or both", name)
}

// Share is an architecture's part of the machines.
type Share struct {
	Arch   uint16 // option 93
	Weight int
}

// Load is who asks whom for what.
type Load struct {
	What     What
	First    dhcpc.Identity // the first machine,
	Machines int            // and how many there are
	Archs    []Share        // empty: x64 UEFI
	// Lease expects OFFERs of a DHCP server to DISCOVERs; else a boot server's.
	Lease bool

	// Server is whose replies count; others' are counted apart. Where it is not
	// valid everybody's count, but relayed and 4011 requests need it.
	Server    netip.Addr
	ServerMAC [6]byte // zero: asked for by ARP

	// Relay is the address (giaddr) of the relay agent that the gun plays for
	// DISCOVERs, RelayInfo the option 82 that it adds; not valid: none.
	Relay     netip.Addr
	RelayInfo []byte

	// Clients is the network that clients have their addresses from when they
	// ask on 4011. The gun answers ARP for all of them.
	Clients netip.Prefix

	// Bounced takes the request itself for the answer: the server is a bounce
	// (bench/xdp). The live sender alone can do that.
	Bounced bool

	VLAN uint16 // 0: untagged
	// HiddenTags says that the port does not see the tags of replies, so that a missing one is not wrong.
	HiddenTags bool

	Late time.Duration // a reply after that is late; 0: DefaultLate
}

// DefaultLate is within when a reply counts, as Kea's perfdhcp has it.
const DefaultLate = time.Second

// archX64 is x64 UEFI in option 93 (IANA "Processor Architecture Types").
const archX64 = 7

// Check finds what is missing or out of range.
func (l Load) Check() error { return l.complete() }

// complete fills in defaults and checks.
func (l *Load) complete() error {
	if l.Late == 0 {
		l.Late = DefaultLate
	}
	if len(l.Archs) == 0 {
		l.Archs = []Share{{Arch: archX64, Weight: 1}}
	}
	if l.Machines == 0 {
		l.Machines = 1 << 20
	}
	for _, s := range l.Archs {
		if s.Weight < 1 || s.Weight > 1000 {
			return fmt.Errorf("architecture %d: weight %d: want 1 to 1000", s.Arch, s.Weight)
		}
		if l.What != Discover && dhcpc.HTTP(s.Arch) {
			return fmt.Errorf("architecture %d boots by HTTP and asks nothing on port 4011", s.Arch)
		}
	}
	switch {
	case l.Late < 0:
		return fmt.Errorf("late after %v: want more than 0", l.Late)
	case l.Machines < 1 || uint64(l.Machines) > 1<<32:
		return fmt.Errorf("%d machines: want 1 to 2^32", l.Machines)
	case l.VLAN > 4094:
		return fmt.Errorf("VLAN %d: want at most 4094", l.VLAN)
	case l.Server.IsValid() && !l.Server.Is4(), l.Relay.IsValid() && !l.Relay.Is4(), l.Clients.IsValid() && !l.Clients.Addr().Is4():
		return errors.New("addresses: want IPv4")
	case !l.Server.IsValid() && (l.What != Discover || l.Relay.IsValid()):
		return errors.New("requests to port 4011 and of a relay go to one server: its address is needed")
	case l.What != Discover && (!l.Clients.IsValid() || l.Clients.Bits() > 29):
		return errors.New("requests to port 4011 come from clients with an address: a network for them is needed, /29 or larger")
	}
	return nil
}

// owns says whether the gun answers ARP for an address.
func (l *Load) owns(a netip.Addr) bool {
	return a != l.Server && (l.Relay.IsValid() && a == l.Relay || l.What != Discover && l.Clients.IsValid() && l.Clients.Contains(a))
}
