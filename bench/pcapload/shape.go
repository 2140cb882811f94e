package pcapload

import (
	"bytes"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// Shape is what is compared of an answer.
type Shape struct {
	Type       dhcp.MessageType
	File       string // the server's address in a URI is "SERVER"
	Class      string // option 60
	NextServer kind   // siaddr
	ServerID   kind   // option 54
	YourIP     kind
	Broadcast  bool // the flag
	SourcePort uint16
	DestPort   uint16
	Dest       kind

	options [4]uint64
}

// kind is what an address is to the server.
type kind uint8

const (
	none kind = iota
	theServer
	everybody
	another
)

func (k kind) String() string { return [...]string{"none", "the server", "everybody", "another"}[k] }

func kindOf(a, server netip.Addr) kind {
	switch {
	case !a.IsValid() || a.IsUnspecified():
		return none
	case a == server:
		return theServer
	case a == broadcastAddr:
		return everybody
	}
	return another
}

// shapeOf reads the shape of a reply of server.
func shapeOf(m *packet.Meta, v *dhcp.View, server netip.Addr) Shape {
	s := Shape{
		NextServer: kindOf(v.NextServer(), server), YourIP: kindOf(v.YourIP(), server),
		Broadcast:  v.Flags()&flagBroadcast != 0,
		SourcePort: m.Src.Port(), DestPort: m.Dst.Port(), Dest: kindOf(m.Dst.Addr(), server),
		Class: string(v.Option(optVendorClass)), File: string(v.File()),
	}
	s.Type, _ = v.Type()
	if id := v.Option(optServerID); len(id) == 4 {
		s.ServerID = kindOf(netip.AddrFrom4([4]byte(id)), server)
	}
	if scheme, rest, ok := strings.Cut(s.File, "://"+server.String()); ok && (rest == "" || rest[0] == '/' || rest[0] == ':') {
		s.File = scheme + "://SERVER" + rest
	}
	for code := range v.Options() {
		s.options[code>>6] |= 1 << (code & 63)
	}
	return s
}

// differ calls say with each difference of an answer from the captured one.
func (want *Shape) differ(got *Shape, say func(reason string)) {
	if *want == *got {
		return
	}
	for _, d := range []struct {
		what      string
		want, got any
	}{
		{"type", want.Type, got.Type},
		{"file", want.File, got.File},
		{"vendor class", want.Class, got.Class},
		{"siaddr", want.NextServer, got.NextServer},
		{"server identifier", want.ServerID, got.ServerID},
		{"yiaddr", want.YourIP, got.YourIP},
		{"broadcast flag", want.Broadcast, got.Broadcast},
		{"source port", want.SourcePort, got.SourcePort},
		{"destination port", want.DestPort, got.DestPort},
		{"destination", want.Dest, got.Dest},
	} {
		if d.want != d.got {
			say(fmt.Sprintf("%s differs: %s != %s", d.what, text(d.want), text(d.got)))
		}
	}
	for i := range want.options {
		for missing := want.options[i] &^ got.options[i]; missing != 0; missing &= missing - 1 {
			say(fmt.Sprintf("missing option %d", i<<6+bits.TrailingZeros64(missing)))
		}
		for extra := got.options[i] &^ want.options[i]; extra != 0; extra &= extra - 1 {
			say(fmt.Sprintf("extra option %d", i<<6+bits.TrailingZeros64(extra)))
		}
	}
}

// longestText bounds what a server's words take in a reason.
const longestText = 64

// text makes a value fit a line: what came from the wire is quoted if it must be.
func text(v any) string {
	s := fmt.Sprint(v)
	if len(s) > longestText {
		s = s[:longestText] + "…"
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' && r != '…' }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// echoes calls say with each part of the request's identity that a reply does not bring back.
func (r *Request) echoes(v *dhcp.View, id *identity, say func(reason string)) {
	chaddr := r.payload[offCHAddr : offCHAddr+int(min(r.payload[offHLen], uuidLen))]
	switch len(chaddr) {
	case macLen:
		chaddr = id.mac[:]
	case uuidLen:
		chaddr = id.uuid[:]
	}
	if !bytes.Equal(v.HardwareAddr(), chaddr) {
		say("chaddr is not the request's")
	}
	if data := v.Option(optUUID); len(data) == 1+uuidLen && r.hasUUID && !bytes.Equal(data[1:], id.uuid[:]) {
		say("option 97 is not the request's")
	}
	if v.Relay() != r.relay {
		say("giaddr is not the request's")
	}
}
