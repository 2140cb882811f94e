package dhcpc

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

var (
	relayAddr  = netip.MustParseAddr("198.51.100.1")
	serverAddr = netip.MustParseAddr("192.0.2.10")
	clientAddr = netip.MustParseAddr("198.51.100.9")
)

// exchange is a request and a reply that is right for it, to be spoiled.
type exchange struct {
	expect         Expect
	request, reply packet.Meta
	message        *dhcptest.Message
	msg            []byte
}

// bytes brings msg up to date.
func (x *exchange) bytes() []byte {
	x.msg = x.message.Bytes()
	return x.msg
}

func newExchange(kind Kind, s Spec, v Vars) *exchange {
	v.ID, v.XID = 0x0a0b0c0d0e, 0x12345678
	mac, uuid := v.ID.MAC(), v.ID.UUID()
	m := &dhcptest.Message{Op: 2, HType: 1, HLen: 6, XID: v.XID, SIAddr: serverAddr, File: "snponly.efi", GIAddr: v.GIAddr}
	copy(m.CHAddr[:], mac[:])
	x := &exchange{expect: Expect{Kind: kind, Spec: &s, Vars: &v}, message: m}
	x.request.Src, x.request.Dst = netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("255.255.255.255:67")
	x.reply.Src, x.reply.Dst = netip.AddrPortFrom(serverAddr, 67), netip.MustParseAddrPort("255.255.255.255:68")
	own := serverAddr.AsSlice()
	switch kind {
	case BootServerACK:
		m.Add(53, ACK)
		x.request.Src, x.request.Dst = netip.AddrPortFrom(v.CIAddr, 4011), netip.AddrPortFrom(serverAddr, 4011)
		x.reply.Src, x.reply.Dst = x.request.Dst, x.request.Src
	case LeaseACK:
		m.Add(53, ACK)
		m.YIAddr = v.RequestedIP
	case LeaseOffer:
		m.YIAddr = clientAddr
		fallthrough
	default:
		m.Add(53, Offer)
	}
	m.Add(54, own...)
	if kind == ProxyOffer || kind == BootServerACK {
		m.Add(60, []byte("PXEClient")...).Add(97, append([]byte{0}, uuid[:]...)...)
	}
	if v.GIAddr.IsValid() {
		m.Flags = flagBroadcast
		m.Add(82, v.RelayInfo...)
		x.request.Src, x.request.Dst = netip.AddrPortFrom(v.GIAddr, 67), netip.AddrPortFrom(serverAddr, 67)
		x.reply.Dst = x.request.Src
	}
	x.bytes()
	return x
}

func flatOffer() *exchange { return newExchange(ProxyOffer, FirmwareDiscover(7), Vars{}) }

func relayedOffer(t testing.TB) *exchange {
	return newExchange(ProxyOffer, FirmwareDiscover(7), Vars{GIAddr: relayAddr, RelayInfo: mustRelayInfo(t)})
}

func bootACK() *exchange {
	return newExchange(BootServerACK, FirmwareBootServer(7), Vars{CIAddr: clientAddr})
}

func lease(kind Kind) *exchange {
	return newExchange(kind, FirmwareDiscover(7), Vars{RequestedIP: clientAddr, ServerID: serverAddr})
}

// judge judges as a client does.
func (x *exchange) judge() Reason {
	if why := Addressing(&x.request, &x.reply, &x.expect); why != Valid {
		return why
	}
	if why := Tagged(&x.request, &x.reply); why != Valid {
		return why
	}
	return new(Judge).Reply(x.msg, &x.expect)
}

func TestJudge(t *testing.T) {
	none := netip.IPv4Unspecified()
	flat, boot := flatOffer, bootACK
	relayed := func() *exchange { return relayedOffer(t) }
	leaseOffer, leaseACK := func() *exchange { return lease(LeaseOffer) }, func() *exchange { return lease(LeaseACK) }
	for _, c := range []struct {
		name string
		of   func() *exchange
		do   func(x *exchange)
		want Reason
	}{
		{"offer", flat, nil, Valid}, {"relayed offer", relayed, nil, Valid}, {"ACK on 4011", boot, nil, Valid},
		{"lease offer", leaseOffer, nil, Valid}, {"lease ACK", leaseACK, nil, Valid},

		{"a request", flat, func(x *exchange) { x.message.Op = 1 }, NotReply},
		{"other xid", flat, func(x *exchange) { x.message.XID++ }, WrongXID},
		{"other chaddr", flat, func(x *exchange) { x.message.CHAddr[5]++ }, WrongMAC},
		{"short chaddr", flat, func(x *exchange) { x.message.HLen = 5 }, WrongMAC},
		{"no END", flat, func(x *exchange) { x.message.NoEnd = true }, NoEnd},
		{"no type", flat, func(x *exchange) { x.message.Drop(53) }, NoType},
		{"ACK to a DISCOVER", flat, func(x *exchange) { x.message.Set(53, 5) }, WrongType},
		{"NAK on 4011", boot, func(x *exchange) { x.message.Set(53, 6) }, WrongType},
		{"OFFER on 4011", boot, func(x *exchange) { x.message.Set(53, 2) }, Valid},
		{"OFFER to a REQUEST", leaseACK, func(x *exchange) { x.message.Set(53, 2) }, WrongType},
		{"no 54", flat, func(x *exchange) { x.message.Drop(54) }, NoServerID},
		{"54 of zeros", flat, func(x *exchange) { x.message.Set(54, 0, 0, 0, 0) }, NoServerID},
		{"54 of another", leaseACK, func(x *exchange) { x.message.Set(54, 192, 0, 2, 11) }, OtherServer},
		{"no 60", flat, func(x *exchange) { x.message.Drop(60) }, NotPXE},
		{"60 of HTTP", boot, func(x *exchange) { x.message.Set(60, []byte("HTTPClient")...) }, NotPXE},
		{"an address", flat, func(x *exchange) { x.message.YIAddr = clientAddr }, HasAddress},
		{"ciaddr copied", boot, func(x *exchange) { x.message.YIAddr = clientAddr }, Valid},
		{"an address on 4011", boot, func(x *exchange) { x.message.YIAddr = clientAddr.Next() }, HasAddress},
		{"no address", leaseOffer, func(x *exchange) { x.message.YIAddr = none }, NoAddress},
		{"other address", leaseACK, func(x *exchange) { x.message.YIAddr = clientAddr.Next() }, OtherAddress},
		{"no file", boot, func(x *exchange) { x.message.File = "" }, NoBootFile},
		{"option 67", boot, func(x *exchange) { x.message.File = ""; x.message.Add(67, 'a', 0) }, Valid},
		{"no file in an offer", flat, func(x *exchange) { x.message.File, x.message.SIAddr = "", none }, Valid},
		{"no siaddr", flat, func(x *exchange) { x.message.SIAddr = none }, NoNextServer},
		{"no siaddr on 4011", boot, func(x *exchange) { x.message.SIAddr = none }, NoNextServer},
		{"no 97", flat, func(x *exchange) { x.message.Drop(97) }, NoUUID},
		{"97 of another", boot, func(x *exchange) { x.message.Set(97, make([]byte, 17)...) }, NoUUID},
		{"97 not sent", flat, func(x *exchange) { x.expect.Spec.UUID = false; x.message.Drop(97) }, Valid},
		{"giaddr gone", relayed, func(x *exchange) { x.message.GIAddr = none }, WrongGIAddr},
		{"giaddr from nowhere", flat, func(x *exchange) { x.message.GIAddr = relayAddr }, WrongGIAddr},
		{"no 82", relayed, func(x *exchange) { x.message.Drop(82) }, NoRelayInfo},
		{"82 changed", relayed, func(x *exchange) { x.message.Set(82, 1, 1, 'x') }, NoRelayInfo},
		{"82 not last", relayed, func(x *exchange) { x.message.Add(67, 'a', 0) }, NotLast},
		{"no broadcast flag", relayed, func(x *exchange) { x.message.Flags = 0 }, NoBroadcast},

		// What edk2 does not take.
		{"53 twice", flat, func(x *exchange) { x.message.Add(53, 2) }, BadOption},
		{"54 of 3 bytes", flat, func(x *exchange) { x.message.Set(54, 1, 2, 3) }, BadOption},
		{"mask of 5 bytes", flat, func(x *exchange) { x.message.Add(1, 255, 255, 255, 0, 0) }, BadOption},
		{"router in two pieces", flat, func(x *exchange) { x.message.Add(3, 192, 0).Add(3, 2, 1) }, Valid},
		{"routers of 6 bytes", flat, func(x *exchange) { x.message.Add(3, 1, 2, 3, 4, 5, 6) }, BadOption},
		{"size of 1 byte", flat, func(x *exchange) { x.message.Add(57, 5) }, BadOption},
		{"lease of 2 bytes", flat, func(x *exchange) { x.message.Add(51, 1, 2) }, BadOption},
		{"a switch of 2", flat, func(x *exchange) { x.message.Add(19, 2) }, BadOption},
		{"61 of 1 byte", flat, func(x *exchange) { x.message.Add(61, 1) }, BadOption},
		{"121 of 4 bytes", flat, func(x *exchange) { x.message.Add(121, 1, 2, 3, 4) }, BadOption},
		{"static routes of 4 bytes", flat, func(x *exchange) { x.message.Add(33, 1, 2, 3, 4) }, BadOption},
		{"user classes of 3 bytes", flat, func(x *exchange) { x.message.Add(25, 1, 2, 3) }, BadOption},
		{"TTL of 2 bytes", flat, func(x *exchange) { x.message.Add(23, 1, 2) }, BadOption},
		{"an empty name", flat, func(x *exchange) { x.message.Add(12) }, Valid}, // options without data do not count
		{"overload 4", flat, func(x *exchange) { x.message.Add(52, 4) }, BadOption},
		{"overload without END", flat, func(x *exchange) { x.message.Add(52, 1); x.message.File = "\x0c\x01a" }, BadOption},
		{"overload", flat, func(x *exchange) { x.message.Add(52, 1); x.message.File = "\x0c\x01a\xff" }, Valid},
		{"bad option in sname", flat, func(x *exchange) { x.message.Add(52, 2); x.message.SName = "\x01\x01a\xff" }, BadOption},

		// How it came.
		{"from another port", flat, func(x *exchange) { x.reply.Src = netip.AddrPortFrom(serverAddr, 1067) }, WrongSource},
		{"4011 from 67", boot, func(x *exchange) { x.reply.Src = netip.AddrPortFrom(serverAddr, 67) }, WrongSource},
		{"to 67", flat, func(x *exchange) { x.reply.Dst = netip.MustParseAddrPort("255.255.255.255:67") }, WrongDest},
		{"to the subnet", flat, func(x *exchange) { x.reply.Dst = netip.MustParseAddrPort("192.0.2.255:68") }, WrongDest},
		{"to the relay's port 68", relayed, func(x *exchange) { x.reply.Dst = netip.AddrPortFrom(relayAddr, 68) }, WrongDest},
		{"past the relay", relayed, func(x *exchange) { x.reply.Dst = netip.MustParseAddrPort("255.255.255.255:68") }, WrongDest},
		{"4011 to 68", boot, func(x *exchange) { x.reply.Dst = netip.AddrPortFrom(clientAddr, 68) }, WrongDest},
		{"lease ACK to the address", leaseACK, func(x *exchange) { x.reply.Dst = netip.AddrPortFrom(clientAddr, 68) }, Valid},
		{"untagged", flat, func(x *exchange) { x.request.NumVLANs, x.request.VLANs[0].TCI = 1, 5 }, WrongVLAN},
		{"other VLAN", flat, func(x *exchange) {
			x.request.NumVLANs, x.request.VLANs[0].TCI = 1, 5
			x.reply.NumVLANs, x.reply.VLANs[0].TCI = 1, 6
		}, WrongVLAN},
		{"other priority", flat, func(x *exchange) {
			x.request.NumVLANs, x.request.VLANs[0].TCI = 1, 5
			x.reply.NumVLANs, x.reply.VLANs[0].TCI = 1, 0x6005
		}, Valid},
	} {
		x := c.of()
		if c.do != nil {
			c.do(x)
			x.bytes()
		}
		if got := x.judge(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestJudgeBytes(t *testing.T) {
	x := flatOffer()
	long := append(bytes.Clone(x.msg), make([]byte, 1473-len(x.msg))...)
	over := bytes.Clone(x.msg)
	over[241] = 255
	for _, c := range []struct {
		name string
		msg  []byte
		want Reason
	}{
		{"nothing", nil, Malformed}, {"cut", x.msg[:200], Malformed}, {"magic", append(bytes.Clone(x.msg[:236]), make([]byte, 64)...), Malformed},
		{"longest", long[:1472], Valid}, {"too long", long, TooLong}, {"over the end", over, Malformed},
	} {
		if got := new(Judge).Reply(c.msg, &x.expect); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// An HTTP boot client's offer has its own class and may do without next server.
func TestJudgeHTTP(t *testing.T) {
	x := newExchange(ProxyOffer, FirmwareDiscover(16), Vars{})
	if got := x.judge(); got != NotPXE {
		t.Errorf("PXEClient: %v", got)
	}
	x.message.Set(60, []byte("HTTPClient")...)
	x.message.SIAddr, x.message.File = netip.IPv4Unspecified(), "http://192.0.2.10/boot.efi"
	x.bytes()
	if got := x.judge(); got != Valid {
		t.Error(got)
	}
}

func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reasons {
		if r.String() == "" || seen[r.String()] {
			t.Errorf("reason %d is called %q", r, r)
		}
		seen[r.String()] = true
	}
}

// No message makes the judge fail, and what it takes edk2 takes.
func FuzzJudge(f *testing.F) {
	for _, x := range []*exchange{flatOffer(), relayedOffer(f), bootACK()} {
		f.Add(x.msg)
	}
	over := flatOffer()
	over.message.Add(52, 3)
	over.message.File, over.message.SName = "\x0c\x01a\xff", "\xff"
	f.Add(over.bytes())
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, x := range []*exchange{flatOffer(), relayedOffer(t), bootACK(), lease(LeaseOffer), lease(LeaseACK)} {
			if len(msg) > headerLen { // what only luck would find
				copy(msg, x.msg[:8])
				copy(msg[offCHAddr:], x.msg[offCHAddr:offSName])
				copy(msg[offMagic:], x.msg[offMagic:headerLen])
			}
			if new(Judge).Reply(msg, &x.expect) != Valid {
				continue
			}
			edk2 := dhcptest.EDK2{XID: x.expect.Vars.XID}
			mac := x.expect.Vars.ID.MAC()
			copy(edk2.CHAddr[:], mac[:])
			if err := edk2.Accept(msg); err != nil {
				t.Errorf("kind %d: taken, but: %v", x.expect.Kind, err)
			}
			if binary.BigEndian.Uint32(msg[4:]) != x.expect.Vars.XID {
				t.Error("taken with another xid")
			}
		}
	})
}
