package xdp

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// discover is a load of DISCOVERs as firmware broadcasts them, each from its own MAC.
func discover(t *testing.T) *Load {
	t.Helper()
	request, err := dhcpc.NewTemplate(dhcpc.FirmwareDiscover(7))
	if err != nil {
		t.Fatal(err)
	}
	return &Load{
		Request: request, Kind: dhcpc.ProxyOffer, Machines: 8,
		Meta: packet.Meta{
			DstMAC: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
			Src:    netip.AddrPortFrom(netip.IPv4Unspecified(), packet.PortDHCPClient),
			Dst:    netip.MustParseAddrPort("255.255.255.255:67"),
		},
		Vars: dhcpc.Vars{ID: 1000, XID: 0xfffffff0}, // xids go over the end of their range
	}
}

// frame is the request of serial number n as dhcpc makes it, but for what a
// template does without.
func (l *Load) frame(t *testing.T, n int) []byte {
	t.Helper()
	v, m := l.Vars, l.Meta
	v.XID += uint32(n)
	v.ID += dhcpc.Identity(n % l.Machines)
	if m.SrcMAC == ([6]byte{}) {
		m.SrcMAC = v.ID.MAC()
	}
	frame := l.Request.Frame(make([]byte, MaxFrame), &m, &v)
	if _, err := plain(frame); err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestTemplateMakesEveryRequest(t *testing.T) {
	for name, change := range map[string]func(*Load){
		"flat":         func(*Load) {},
		"from one MAC": func(l *Load) { l.Meta.SrcMAC = [6]byte{2, 0, 0, 0, 0, 1} },
		"in a VLAN":    func(l *Load) { l.Meta.VLANs[0], l.Meta.NumVLANs = packet.VLAN{TPID: 0x8100, TCI: 7}, 1 },
		"relayed": func(l *Load) {
			l.Vars.GIAddr, l.Vars.RelayInfo = netip.MustParseAddr("198.51.100.1"), []byte{1, 2, 'e', '1'}
		},
		"without a UUID":   func(l *Load) { l.Request.Spec.UUID = false },
		"more identifiers": func(l *Load) { l.Request.Spec.ClientID = true },
	} {
		l := discover(t)
		change(l)
		request, err := dhcpc.NewTemplate(l.Request.Spec)
		if err != nil {
			t.Fatal(err)
		}
		l.Request = request
		tmpl, machines, err := l.template()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for n := range 2 * l.Machines {
			got := make([]byte, MaxFrame)
			got = got[:tmpl.write(got, l.Vars.XID+uint32(n), &machines[n%l.Machines])]
			if want := l.frame(t, n); !bytes.Equal(got, want) {
				t.Errorf("%s: request %d\n got %x\nwant %x", name, n, got, want)
			}
		}
	}
}

func TestTemplateRefuses(t *testing.T) {
	l := discover(t)
	examples := func() (a, b Example) {
		for i, e := range []*Example{&a, &b} {
			id := l.Vars.ID + dhcpc.Identity(i)
			*e = Example{Frame: l.frame(t, i), XID: l.Vars.XID + uint32(i), Identity: Identity{MAC: id.MAC(), UUID: id.UUID()}}
		}
		return a, b
	}
	for _, c := range []struct {
		name, want string
		spoil      func(a, b *Example)
	}{
		{"another field differs", "differ in more than", func(_, b *Example) { b.Frame[50]++ }},
		{"another length", "differ in more than", func(_, b *Example) { b.Frame = append(b.Frame, 0) }},
		{"too long", "at most", func(a, _ *Example) { a.Frame = append(a.Frame, make([]byte, MaxFrame)...) }},
		{"no datagram", "not a UDP datagram", func(a, _ *Example) { a.Frame[12] = 0x86 }},
		{"truncated", "not a UDP datagram", func(_, b *Example) { b.Frame = b.Frame[:20] }},
		{"UUID twice", "in two places", func(a, _ *Example) { copy(a.Frame[100:], a.UUID[:]) }},
		{"MAC everywhere", "more than 4 places", func(a, _ *Example) {
			for i := range 5 {
				copy(a.Frame[100+8*i:], a.MAC[:])
			}
		}},
	} {
		a, b := examples()
		c.spoil(&a, &b)
		if _, err := NewTemplate(a, b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
