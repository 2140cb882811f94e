package dhcptest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Option is one DHCP option as it stands in a message.
type Option struct {
	Code byte
	Data []byte
}

// Message is a DHCP message to be built. Options are written in order and
// may repeat, be malformed or be missing: tests want that too.
type Message struct {
	Op, HType, HLen, Hops          byte
	XID                            uint32
	Secs, Flags                    uint16
	CIAddr, YIAddr, SIAddr, GIAddr netip.Addr
	CHAddr                         [16]byte
	SName, File                    string
	Options                        []Option
	NoEnd                          bool
}

// Identity of the machine that the requests of this package come from.
var (
	MAC  = [6]byte{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}
	GUID = [16]byte{0x4c, 0x4c, 0x45, 0x44, 0x00, 0x4a, 0x35, 0x10, 0x80, 0x38, 0x5a, 0xc0, 0x4f, 0x33, 0x4d, 0x32}
)

// parameters are what edk2 asks for in option 55, in part.
var parameters = []byte{1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97, 128, 129, 130, 131, 132, 133, 134, 135}

// Discover is the DISCOVER of a PXE client of that architecture (option 93).
func Discover(arch uint16) *Message {
	return request(1, arch, "PXEClient")
}

// DiscoverHTTP is the DISCOVER of an HTTP boot client of that architecture.
func DiscoverHTTP(arch uint16) *Message {
	return request(1, arch, "HTTPClient")
}

// BootServerRequest is edk2's request on 4011, from a client that leased ciaddr (PxeBcDhcp4Discover).
func BootServerRequest(arch uint16, ciaddr netip.Addr) *Message {
	m := request(3, arch, "PXEClient")
	m.Flags, m.CIAddr = 0, ciaddr
	return m
}

func request(kind byte, arch uint16, class string) *Message {
	m := &Message{Op: 1, HType: 1, HLen: 6, XID: 0x2a01b2c3, Flags: 0x8000}
	copy(m.CHAddr[:], MAC[:])
	return m.Add(53, kind).Add(57, 0x05, 0xc0).Add(55, parameters...).
		Add(97, append([]byte{0}, GUID[:]...)...).Add(94, 1, 3, 16).
		Add(93, byte(arch>>8), byte(arch)).
		Add(60, fmt.Appendf(nil, "%s:Arch:%05d:UNDI:003016", class, arch)...)
}

// Add appends an option.
func (m *Message) Add(code byte, data ...byte) *Message {
	m.Options = append(m.Options, Option{code, data})
	return m
}

// Drop removes all instances of an option.
func (m *Message) Drop(code byte) *Message {
	kept := m.Options[:0:0]
	for _, o := range m.Options {
		if o.Code != code {
			kept = append(kept, o)
		}
	}
	m.Options = kept
	return m
}

// Set replaces an option, or appends it.
func (m *Message) Set(code byte, data ...byte) *Message {
	for i, o := range m.Options {
		if o.Code == code {
			m.Options[i].Data = data
			return m
		}
	}
	return m.Add(code, data...)
}

// Bytes is the message on the wire, padded to 300 bytes.
func (m *Message) Bytes() []byte {
	b := make([]byte, 240, 600)
	b[0], b[1], b[2], b[3] = m.Op, m.HType, m.HLen, m.Hops
	binary.BigEndian.PutUint32(b[4:], m.XID)
	binary.BigEndian.PutUint16(b[8:], m.Secs)
	binary.BigEndian.PutUint16(b[10:], m.Flags)
	for i, a := range []netip.Addr{m.CIAddr, m.YIAddr, m.SIAddr, m.GIAddr} {
		if a.IsValid() {
			copy(b[12+4*i:], a.AsSlice())
		}
	}
	copy(b[28:44], m.CHAddr[:])
	copy(b[44:108], m.SName)
	copy(b[108:236], m.File)
	binary.BigEndian.PutUint32(b[236:], magic)
	for _, o := range m.Options {
		b = append(append(b, o.Code, byte(len(o.Data))), o.Data...)
	}
	if m.NoEnd {
		return b
	}
	b = append(b, 255)
	for len(b) < 300 {
		b = append(b, 0)
	}
	return b
}

const magic = 0x63825363
