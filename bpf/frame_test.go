package bpf

import (
	"bytes"
	"encoding/binary"
)

var (
	broadcastMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	ourMAC       = [6]byte{0x02, 0x00, 0x5e, 0x00, 0x00, 0x01}
	clientMAC    = [6]byte{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}
	ourIP        = [4]byte{192, 0, 2, 10}
)

// frame is a request to be: rows of tests change one field of it. Lengths and
// the IPv4 checksum follow from the rest; the *Add and *Xor fields spoil them.
type frame struct {
	Dst, Src   [6]byte
	Tags       []uint32 // TPID << 16 | TCI
	EtherType  uint16
	VersionIHL byte
	IPOptions  []byte
	IPLenAdd   int
	FragOff    uint16
	Protocol   byte
	CheckXor   uint16
	SrcIP      [4]byte
	DstIP      [4]byte
	SrcPort    uint16
	DstPort    uint16
	UDPLenAdd  int
	UDPCheck   uint16
	Op         byte
	XID        [4]byte // zeros: 12345678
	CIAddr     [4]byte
	GIAddr     [4]byte
	CHAddr     []byte // nil: Src
	Payload    []byte // in the place of a DHCP message
	Sname      []byte
	File       []byte
	Magic      [4]byte
	Options    []byte
	MessageCut int    // bytes to leave out at the end of the message
	Slack      int    // bytes of IPv4 payload behind UDP
	Trailer    []byte // Ethernet padding
	Cut        int    // length to cut the finished frame to
}

// discover is a broadcast DHCPDISCOVER as OVMF sends it: option order of
// PROTOCOL.md section 2.1, flags 0x8000.
func discover() *frame {
	return &frame{
		Dst: broadcastMAC, Src: clientMAC,
		EtherType: 0x0800, VersionIHL: 0x45, Protocol: 17,
		DstIP: [4]byte{255, 255, 255, 255}, SrcPort: 68, DstPort: 67,
		UDPCheck: 0xbeef, // partial, as veth leaves it
		Op:       1, Magic: [4]byte{0x63, 0x82, 0x53, 0x63},
		Options: options(
			opt(53, "\x01"), opt(57, "\x05\xc0"),
			opt(55, "\x01\x02\x03\x04\x05\x06\x0c\x0d\x0f\x11\x12\x16\x17\x1c\x28\x29\x2a\x2b\x32\x33\x36\x3a\x3b\x3c\x42\x43\x61\x80\x81\x82\x83\x84\x85\x86\x87"),
			opt(97, "\x00LLLLDDDDEEEEFFFF"), opt(94, "\x01\x03\x10"), opt(93, "\x00\x07"),
			opt(60, "PXEClient:Arch:00007:UNDI:003016"), end),
	}
}

// bootServerRequest is the unicast DHCPREQUEST to UDP 4011.
func bootServerRequest() *frame {
	f := discover()
	f.Dst, f.SrcIP, f.DstIP, f.DstPort = ourMAC, [4]byte{192, 0, 2, 77}, ourIP, 4011
	return f
}

var end = []byte{255}

func opt(code byte, value string) []byte {
	return append([]byte{code, byte(len(value))}, value...)
}

func options(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func pads(n int) []byte { return make([]byte, n) }

func field(n int, b []byte) []byte { return append(bytes.Clone(b), make([]byte, n-len(b))...) }

func (f *frame) message() []byte {
	m := make([]byte, 44, 600)
	if f.Payload != nil {
		return f.Payload
	}
	m[0], m[1], m[2] = f.Op, 1, 6
	copy(m[4:], "\x12\x34\x56\x78")
	if f.XID != [4]byte{} {
		copy(m[4:], f.XID[:])
	}
	m[10] = 0x80
	copy(m[12:], f.CIAddr[:])
	copy(m[24:], f.GIAddr[:])
	copy(m[28:], f.Src[:])
	if f.CHAddr != nil {
		copy(m[28:44], f.CHAddr)
	}
	m = append(m, field(64, f.Sname)...)
	m = append(m, field(128, f.File)...)
	m = append(m, f.Magic[:]...)
	m = append(m, f.Options...)
	return m[:len(m)-f.MessageCut]
}

func (f *frame) bytes() []byte {
	be := binary.BigEndian
	b := append(bytes.Clone(f.Dst[:]), f.Src[:]...)
	for _, tag := range f.Tags {
		b = be.AppendUint32(b, tag)
	}
	b = be.AppendUint16(b, f.EtherType)
	message := f.message()
	udpLen := 8 + len(message)
	at := len(b)
	b = append(b, f.VersionIHL, 0)
	b = be.AppendUint16(b, uint16(20+len(f.IPOptions)+udpLen+f.Slack+f.IPLenAdd))
	b = be.AppendUint16(b, 0x1234)
	b = be.AppendUint16(b, f.FragOff)
	b = append(b, 64, f.Protocol, 0, 0)
	b = append(b, f.SrcIP[:]...)
	b = append(b, f.DstIP[:]...)
	b = append(b, f.IPOptions...)
	sum := uint32(0)
	for i := at; i < len(b); i += 2 {
		sum += uint32(be.Uint16(b[i:]))
	}
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	be.PutUint16(b[at+10:], ^uint16(sum)^f.CheckXor)

	b = be.AppendUint16(b, f.SrcPort)
	b = be.AppendUint16(b, f.DstPort)
	b = be.AppendUint16(b, uint16(udpLen+f.UDPLenAdd))
	b = be.AppendUint16(b, f.UDPCheck)
	b = append(b, message...)
	b = append(b, make([]byte, f.Slack)...)
	b = append(b, f.Trailer...)
	if f.Cut > 0 {
		b = b[:f.Cut]
	}
	return b
}
