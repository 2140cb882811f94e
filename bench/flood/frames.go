package flood

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/xdp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// Kind is what a flood is made of.
type Kind uint8

// The kinds.
const (
	Discover   Kind = iota // DISCOVERs of clients with random MACs
	Relayed                // the same, by one relay
	BootServer             // requests to UDP 4011 of clients with random MACs and addresses
	RRQ                    // TFTP read requests from random addresses
	Garbage                // random bytes to UDP 4011, from random addresses
	Noise                  // random bytes to random UDP ports

	numKinds
)

var kindNames = [numKinds]string{"discover", "relayed", "bootserver", "rrq", "garbage", "noise"}

func (k Kind) String() string { return kindNames[k] }

// Kinds are the names of all kinds.
func Kinds() []string { return kindNames[:] }

// ParseKind reads a name.
func ParseKind(name string) (Kind, error) {
	for i, n := range kindNames {
		if n == name {
			return Kind(i), nil
		}
	}
	return 0, fmt.Errorf("flood %q: want one of %s", name, strings.Join(kindNames[:], ", "))
}

// Sources is the network that a flood's addresses are from: a quarter of all, so
// that hardly one comes twice.
var Sources = netip.MustParsePrefix("128.0.0.0/2")

const archX64 = 7

// Aim is who is flooded.
type Aim struct {
	Server    netip.Addr
	ServerMAC [6]byte
	MAC       [6]byte // the frame's source, where no client is
	File      string  // what RRQs ask for
}

// frame is one of a kind, and what is random in it.
type frame struct {
	data   []byte
	random [][]xdp.Place
	ip     int // where the IPv4 header is, if it changes
}

// make lays out a flood's frame.
func (k Kind) make(a *Aim) (f frame, err error) {
	relay := Sources.Addr().Next()
	m := packet.Meta{SrcMAC: a.MAC, DstMAC: a.ServerMAC}
	to := func(from netip.Addr, source, port uint16) {
		m.Src, m.Dst = netip.AddrPortFrom(from, source), netip.AddrPortFrom(a.Server, port)
	}
	vars := dhcpc.Vars{ID: dhcpc.Identity(rand.Uint32()) | 1<<33, XID: rand.Uint32()}
	var payload []byte
	spec := dhcpc.FirmwareDiscover(archX64)
	switch k {
	case Discover:
		m.SrcMAC, m.DstMAC = vars.ID.MAC(), [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		m.Src = netip.AddrPortFrom(netip.IPv4Unspecified(), packet.PortDHCPClient)
		m.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), packet.PortDHCPServer)
	case Relayed:
		vars.GIAddr = relay
		to(relay, packet.PortDHCPServer, packet.PortDHCPServer)
	case BootServer:
		spec = dhcpc.FirmwareBootServer(archX64)
		vars.CIAddr = relay
		to(relay, packet.PortBINL, packet.PortBINL)
	case RRQ:
		payload = append([]byte{0, 1}, a.File+"\x00octet\x00tsize\x000\x00blksize\x001468\x00windowsize\x004\x00"...)
		to(relay, 2070, 69)
	case Garbage, Noise:
		payload = make([]byte, 300)
		for i := range payload {
			payload[i] = byte(rand.Uint32())
		}
		to(relay, 4011, packet.PortBINL)
	}
	if payload == nil {
		t, err := dhcpc.NewTemplate(spec)
		if err != nil {
			return f, err
		}
		payload = t.Append(nil, &vars)
	}
	buf := make([]byte, packet.HeaderLen(&m)+len(payload))
	copy(buf[packet.HeaderLen(&m):], payload)
	n := packet.Build(buf, &m, len(payload))
	if n == 0 {
		return f, fmt.Errorf("%v: no frame can be made", k)
	}
	f.data = buf[:n]
	f.vary(k, packet.HeaderLen(&m), &vars)
	return f, nil
}

var everyBit = [4]byte{0xff, 0xff, 0xff, 0xff}

// vary says what of the frame is random. Its payload begins at offset at.
func (f *frame) vary(k Kind, at int, vars *dhcpc.Vars) {
	all := func(places ...int) {
		var list []xdp.Place
		for _, p := range places {
			list = append(list, xdp.Place{At: p, Mask: everyBit})
		}
		f.random = append(f.random, list)
	}
	binary.BigEndian.PutUint16(f.data[at-2:], 0) // no UDP checksum: it would have to follow
	if k == Discover || k == Relayed || k == BootServer {
		// The last four bytes of the MAC, wherever it stands.
		mac := vars.ID.MAC()
		var places []int
		for i := 0; i+6 <= len(f.data); i++ {
			if [6]byte(f.data[i:]) == mac {
				places = append(places, i+2)
			}
		}
		all(places...)
		all(at + 4) // xid
		uuid := vars.ID.UUID()
		for i := at + 240; i+16 <= len(f.data); i++ {
			if [16]byte(f.data[i:]) == uuid {
				all(i)
				all(i + 4)
			}
		}
	}
	if k != Discover && k != Relayed {
		// The source address, in the network.
		place := xdp.Place{At: at - 16, Base: Sources.Addr().As4(), Mask: [4]byte{0x3f, 0xff, 0xff, 0xff}}
		places := []xdp.Place{place}
		if k == BootServer {
			place.At = at + 12 // ciaddr
			places = append(places, place)
		}
		f.random, f.ip = append(f.random, places), at-28
	}
	if k == Garbage || k == Noise {
		all(at)
		all(at + 236)
	}
	if k == Noise {
		all(at - 8) // both ports
	}
}

// Open opens a flood of a kind on an interface of the calling thread's network namespace.
func Open(ifname string, k Kind, a *Aim) (*xdp.Flood, error) {
	f, err := k.make(a)
	if err != nil {
		return nil, err
	}
	return xdp.OpenFlood(xdp.FloodOptions{Interface: ifname, Frame: f.data, Random: f.random, IPAt: f.ip})
}
