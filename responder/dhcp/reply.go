package dhcp

import (
	"encoding/binary"

	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// Sizes of the UDP payload of a reply, in bytes.
const (
	minReply   = 300  // RFC 951 §3, RFC 1542 §2.1: relays and ROMs drop shorter BOOTP messages
	maxReply   = 1472 // edk2 PXEBC_DHCP4_PACKET_MAX_SIZE
	minMaxSize = 576  // RFC 2132 §9.10: no client may say less
	ipUDPLen   = 28   // option 57 counts the IP and UDP headers (as dnsmasq reads it)
)

// maxEchoedUUID bounds the echo of option 97: a well-formed one is 17 bytes,
// some ROMs send fewer. More is no GUID.
const maxEchoedUUID = 17

// maxBootFileOption is the longest name that option 67 carries with its NUL. A
// second piece (RFC 3396) would be lost on edk2, which reads the first only.
const maxBootFileOption = 254

var (
	classPXE  = []byte("PXEClient")
	classHTTP = []byte("HTTPClient")

	// vendorBIOS tells ROMs to boot the named file without a prompt, menu or
	// discovery: 6 (PXE_DISCOVERY_CONTROL) bit 3, and 10 (PXE_MENU_PROMPT)
	// "PXE" with timeout 0, which is what dnsmasq sends to them.
	vendorBIOS = []byte{6, 1, 8, 10, 4, 0, 'P', 'X', 'E', optEnd}

	typeOffer = []byte{byte(TypeOffer)}
	typeACK   = []byte{byte(TypeACK)}
)

// build writes the OFFER or ACK for the request in w.view into out.Payload.
// Options stand in the order that old ROMs like: the message type first, 82 last.
func (w *Worker) build(link *Link, res *Result, out *packet.Packet) packet.Reason {
	v, d := &w.view, &res.Decision
	limit := min(v.replyLimit(), cap(out.Payload))
	if limit < minReply {
		return packet.ReplyTooLong
	}
	buf := out.Payload[:limit]
	server := link.Addr.As4()
	w.header(buf, server, res)

	// One byte is kept for END.
	o := optionWriter{buf: buf[:limit-1], n: headerLen}
	kind := typeOffer
	if res.Stage == StageBootServer {
		kind = typeACK
	}
	o.put(optMessageType, kind)
	o.put(optServerID, server[:])
	// RFC 6842 §3: unchanged. Less than two bytes is no client identifier
	// (RFC 2132 §9.14), and edk2 drops a reply that has one.
	if id := v.Option(optClientID); len(id) >= 2 && len(id) <= 255 {
		o.put(optClientID, id)
	}
	if d.Style == policy.StyleHTTP {
		o.put(optVendorClass, classHTTP)
	} else {
		o.put(optVendorClass, classPXE)
	}
	if uuid := v.Option(optClientUUID); len(uuid) > 0 && len(uuid) <= maxEchoedUUID {
		o.put(optClientUUID, uuid)
	}
	if d.Style == policy.StyleBIOS && res.Stage == StageDiscover {
		o.put(optVendorSpecific, vendorBIOS)
	}
	if len(d.File) < fileLen {
		copy(buf[offFile:], d.File)
	} else {
		o.putName(optBootFile, d.File)
	}
	// RFC 3011 §2: an identical copy.
	if subnet := v.Option(optSubnetSelection); optionAddr(subnet).IsValid() {
		o.put(optSubnetSelection, subnet)
	}
	if o.full {
		return packet.ReplyTooLong
	}
	// RFC 3046 §2.2: as the last option, unchanged, or not at all.
	if info := v.Option(optRelayInfo); info != nil && !o.put(optRelayInfo, info) {
		res.Notes |= NoteRelayInfoDropped
	}
	n := o.n
	buf[n] = optEnd
	n++
	if n < minReply {
		clear(buf[n:minReply])
		n = minReply
	}
	out.Payload = buf[:n]
	return packet.Answered
}

// header writes the BOOTP header, without a file name (RFC 2131 table 3). No
// address is handed out: yiaddr is 0.
func (w *Worker) header(buf []byte, server [4]byte, res *Result) {
	msg := w.view.msg
	clear(buf[:headerLen])
	buf[0], buf[offHType], buf[offHLen] = opReply, msg[offHType], msg[offHLen]
	copy(buf[offXID:offXID+4], msg[offXID:])
	flags := w.view.Flags()
	if res.Stage == StageBootServer {
		copy(buf[offCIAddr:offCIAddr+4], msg[offCIAddr:])
	} else if res.Relay.IsValid() {
		// With the flag clear a relay would unicast to yiaddr, which is 0.0.0.0 (ISC dhcrelay do_relay4).
		flags |= flagBroadcast
	}
	binary.BigEndian.PutUint16(buf[offFlags:], flags)
	copy(buf[offSIAddr:offSIAddr+4], server[:])
	copy(buf[offGIAddr:offGIAddr+4], msg[offGIAddr:])
	copy(buf[offCHAddr:offCHAddr+maxHardwareLen], msg[offCHAddr:])
	binary.BigEndian.PutUint32(buf[offMagic:], magicCookie)
}

// replyLimit is the longest UDP payload that the client takes.
func (v *View) replyLimit() int {
	size := minMaxSize
	if data := v.Option(optMaxMessageSize); len(data) == 2 {
		size = max(size, int(binary.BigEndian.Uint16(data)))
	}
	return min(size-ipUDPLen, maxReply)
}

// optionWriter appends options to a reply as long as they fit.
type optionWriter struct {
	buf  []byte
	n    int
	full bool // an option did not fit
}

// put appends one option of at most 255 bytes.
func (o *optionWriter) put(code uint8, data []byte) bool {
	if len(data) > 255 || o.n+2+len(data) > len(o.buf) {
		o.full = true
		return false
	}
	o.buf[o.n], o.buf[o.n+1] = code, byte(len(data))
	o.n += 2 + copy(o.buf[o.n+2:], data)
	return true
}

// putName appends a NUL-terminated name: edk2 zeroes the byte behind an
// unterminated option 67, the code of the next option (PxeBcParseDhcp4Packet).
func (o *optionWriter) putName(code uint8, name string) {
	if len(name) > maxBootFileOption || o.n+3+len(name) > len(o.buf) {
		o.full = true
		return
	}
	o.buf[o.n], o.buf[o.n+1] = code, byte(len(name)+1)
	o.n += 2 + copy(o.buf[o.n+2:], name)
	o.buf[o.n] = 0
	o.n++
}
