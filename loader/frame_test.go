package loader

import (
	"encoding/binary"
	"net/netip"
)

var (
	clientMAC = [6]byte{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	ourIP     = netip.MustParseAddr("192.0.2.10")
	ourNet    = netip.MustParsePrefix("192.0.2.10/24")
	limited   = netip.MustParseAddr("255.255.255.255")
)

// request is a PXE client's DHCP message in a frame, with a number in its xid.
type request struct {
	dst   [6]byte
	to    netip.AddrPort
	vids  []uint16
	class string
	xid   uint32
}

func discover(xid uint32) request {
	return request{dst: broadcastMAC, to: netip.AddrPortFrom(limited, 67), class: "PXEClient:Arch:00007:UNDI:003016", xid: xid}
}

func (r request) frame() []byte {
	b := append(r.dst[:], clientMAC[:]...)
	for _, vid := range r.vids {
		b = binary.BigEndian.AppendUint32(b, 0x8100<<16|uint32(vid))
	}
	b = binary.BigEndian.AppendUint16(b, 0x0800)

	dhcp := make([]byte, 240, 300)
	dhcp[0], dhcp[1], dhcp[2] = 1, 1, 6 // BOOTREQUEST, Ethernet, 6 octets
	binary.BigEndian.PutUint32(dhcp[4:], r.xid)
	copy(dhcp[28:], clientMAC[:])
	copy(dhcp[236:], []byte{0x63, 0x82, 0x53, 0x63})
	dhcp = append(dhcp, 53, 1, 1, 93, 2, 0, 7, 60, byte(len(r.class)))
	dhcp = append(dhcp, r.class...)
	dhcp = append(dhcp, 255)

	source := [4]byte{}
	if r.to.Port() == 4011 {
		source = [4]byte{192, 0, 2, 77}
	}
	to := r.to.Addr().As4()
	ip := make([]byte, 28)
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(dhcp)))
	copy(ip[12:], source[:])
	copy(ip[16:], to[:])
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
	binary.BigEndian.PutUint16(ip[20:], 68)
	binary.BigEndian.PutUint16(ip[22:], r.to.Port())
	binary.BigEndian.PutUint16(ip[24:], uint16(8+len(dhcp))) // no UDP checksum
	return append(append(b, ip...), dhcp...)
}

// xidOf returns the xid of a frame that request.frame made, without tags; false for others.
func xidOf(frame []byte) (uint32, bool) {
	if len(frame) < 14+28+240 || frame[12] != 8 || frame[13] != 0 || frame[23] != 17 {
		return 0, false
	}
	return binary.BigEndian.Uint32(frame[42+4:]), true
}
