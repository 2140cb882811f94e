package pcapload

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

const longestFrame = port.FrameRoom

// patch is a place in a payload that holds a part of the client's identity. No
// patch changes a length.
type patch struct {
	at, n int // bytes payload[at:at+n]
	from  int // are these of the identity's, from byte from on
	uuid  bool
}

// identity is who sends a copy of a request.
type identity struct {
	mac  [macLen]byte
	uuid [uuidLen]byte
	xid  uint32
}

// rewrite finds the places of the client's identity in the payload, and puts the
// server under test in the place of the captured one.
func (r *Request) rewrite(captured, server netip.Addr) {
	var view dhcp.View
	if view.Parse(r.payload) != packet.Answered {
		return
	}
	mac := view.HardwareAddr()
	switch len(mac) {
	case macLen:
		r.patches = append(r.patches, patch{at: offCHAddr, n: macLen})
	case uuidLen: // edk2's PXE driver with PcdSendGuid
		r.patches = append(r.patches, patch{at: offCHAddr, n: uuidLen, uuid: true})
	}
	var uuid []byte
	if data := view.Option(optUUID); len(data) == 1+uuidLen {
		uuid = bytes.Clone(data[1:])
	}
	skip := 1 // of option 97, which may come in pieces (RFC 3396): its type
	from := 0
	for code, data := range view.Options() {
		at := offset(r.payload, data)
		switch {
		case code == optServerID && captured.Is4() && bytes.Equal(data, captured.AsSlice()) && server.Is4():
			copy(data, server.AsSlice())
		case code == optClientID:
			r.patchAll(at, data, mac, false)
			r.patchAll(at, data, uuid, true)
		case code == optUUID && uuid != nil:
			n := min(skip, len(data))
			skip -= n
			if rest := len(data) - n; rest > 0 {
				r.patches = append(r.patches, patch{at: at + n, n: rest, from: from, uuid: true})
				from += rest
			}
		}
	}
}

// patchAll marks each place where an option's data has an identifier.
func (r *Request) patchAll(at int, data, id []byte, uuid bool) {
	if len(id) != macLen && len(id) != uuidLen {
		return
	}
	for i := 0; ; {
		k := bytes.Index(data[i:], id)
		if k < 0 {
			return
		}
		r.patches = append(r.patches, patch{at: at + i + k, n: len(id), uuid: uuid || len(id) == uuidLen})
		i += k + len(id)
	}
}

// offset is where part begins in whole, of which it is a slice.
func offset(whole, part []byte) int { return cap(whole) - cap(part) }

// appendFrame appends the request of an identity to dst, which must have room:
// nil if it has not. It does not allocate. hop is the MAC of the server or of the
// router before it, own the port's.
func (r *Request) appendFrame(dst []byte, id *identity, hop, own [macLen]byte) []byte {
	m := r.Meta
	m.SrcMAC, m.DstMAC = own, hop
	if m.Src.Addr().IsUnspecified() {
		m.SrcMAC = id.mac
	}
	if m.Dst.Addr() == broadcastAddr {
		m.DstMAC = broadcastMAC
	}
	head := packet.HeaderLen(&m)
	frame := dst[len(dst):cap(dst)]
	if len(frame) < head+len(r.payload) {
		return nil
	}
	payload := frame[head : head+len(r.payload)]
	copy(payload, r.payload)
	binary.BigEndian.PutUint32(payload[offXID:], id.xid)
	for _, p := range r.patches {
		if p.uuid {
			copy(payload[p.at:p.at+p.n], id.uuid[p.from:])
		} else {
			copy(payload[p.at:p.at+p.n], id.mac[p.from:])
		}
	}
	n := packet.Build(frame, &m, len(payload))
	if n == 0 {
		return nil
	}
	return dst[:len(dst)+n]
}

// identify makes the identity of a copy of a request. Copies of one machine come
// one after the other, so that no two machines share a number.
func (s *Session) identify(r *Request, k int) identity {
	n := func(i int) dhcpc.Identity { return s.First + dhcpc.Identity(i*s.Copies+k) }
	return identity{mac: n(r.machine).MAC(), uuid: n(r.uuid).UUID(), xid: s.FirstXID + uint32(r.exchange*s.Copies+k)}
}
