package xdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// Example is a request of one machine, as it goes out: an Ethernet frame.
type Example struct {
	Frame []byte
	XID   uint32
	Identity
}

// Template is a request with the places in it that differ from machine to machine.
type Template struct{ t template }

// NewTemplate finds the places by two examples that differ in xid, hardware
// address and UUID, and in nothing else; a UUID of zeros is none. What is sent has no IP identification
// and no UDP checksum (RFC 768 allows it over IPv4), whatever the examples have.
func NewTemplate(a, b Example) (*Template, error) {
	a.Frame, b.Frame = bytes.Clone(a.Frame), bytes.Clone(b.Frame)
	payload, err := plain(a.Frame)
	if err == nil {
		_, err = plain(b.Frame)
	}
	if err != nil {
		return nil, fmt.Errorf("request template: %w", err)
	}
	t := new(Template)
	t.t.Len = uint32(copy(t.t.Frame[:], a.Frame))
	t.t.XIDAt = uint16(payload + 4) // RFC 2131 §2
	macs := 0
	for at := range all(a.Frame, a.MAC[:]) {
		switch {
		case at == 6:
			t.t.EtherSrc = 1
		case macs == maxMACs:
			return nil, fmt.Errorf("request template: the hardware address stands in more than %d places", maxMACs)
		default:
			t.t.MACAt[macs] = uint16(at)
			macs++
		}
	}
	for at := range all(a.Frame, a.UUID[:]) {
		if a.UUID == (Identity{}).UUID {
			break
		}
		if t.t.UUIDAt != 0 {
			return nil, errors.New("request template: the UUID stands in two places")
		}
		t.t.UUIDAt = uint16(at)
	}
	made := make([]byte, MaxFrame)
	if made = made[:t.write(made, b.XID, &b.Identity)]; !bytes.Equal(made, b.Frame) {
		return nil, fmt.Errorf("request template: requests of two machines differ in more than xid, hardware address and UUID, at byte %d", firstDifference(made, b.Frame))
	}
	return t, nil
}

// Len is the length of a frame in bytes.
func (t *Template) Len() int { return int(t.t.Len) }

// write does in Go what the sender does in the kernel.
func (t *Template) write(dst []byte, xid uint32, id *Identity) int {
	n := copy(dst, t.t.Frame[:t.t.Len])
	binary.BigEndian.PutUint32(dst[t.t.XIDAt:], xid)
	if t.t.EtherSrc != 0 {
		copy(dst[6:], id.MAC[:])
	}
	for _, at := range t.t.MACAt {
		if at != 0 {
			copy(dst[at:], id.MAC[:])
		}
	}
	if t.t.UUIDAt != 0 {
		copy(dst[t.t.UUIDAt:], id.UUID[:])
	}
	return n
}

// plain takes IP identification and UDP checksum out of a frame, and returns
// where its payload begins.
func plain(frame []byte) (payload int, err error) {
	var p packet.Packet
	if len(frame) > MaxFrame {
		return 0, fmt.Errorf("frame of %d bytes, at most %d", len(frame), MaxFrame)
	}
	if packet.Parse(frame, &p) != packet.Answered {
		return 0, errors.New("not a UDP datagram over IPv4")
	}
	if len(p.Payload) < 240 {
		return 0, fmt.Errorf("payload of %d bytes, too short for DHCP", len(p.Payload))
	}
	payload = packet.HeaderLen(&p.Meta)
	udp := frame[payload-8:]
	ip := frame[payload-28 : payload-8]
	clear(udp[6:8])
	clear(ip[4:6])
	clear(ip[10:12])
	var sum uint32
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum>>16+sum))
	return payload, nil
}

// all yields the places where what stands in frame.
func all(frame, what []byte) func(func(int) bool) {
	return func(yield func(int) bool) {
		for at := 0; ; at += len(what) {
			i := bytes.Index(frame[at:], what)
			if i < 0 || !yield(at+i) {
				return
			}
			at += i
		}
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
