package xdp

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// load is a load of requests, made by dhcpc.
type load struct {
	request  *dhcpc.Template
	meta     packet.Meta // a zero SrcMAC: each machine's own
	vars     dhcpc.Vars  // what all have in common; ID is the first machine's
	machines int
}

// discover is a load of DISCOVERs as firmware broadcasts them, each from its own MAC.
func discover(t *testing.T) *load {
	t.Helper()
	request, err := dhcpc.NewTemplate(dhcpc.FirmwareDiscover(7))
	if err != nil {
		t.Fatal(err)
	}
	return &load{
		request: request, machines: 8,
		meta: packet.Meta{
			DstMAC: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
			Src:    netip.AddrPortFrom(netip.IPv4Unspecified(), packet.PortDHCPClient),
			Dst:    netip.MustParseAddrPort("255.255.255.255:67"),
		},
		vars: dhcpc.Vars{ID: 1000, XID: 0xfffffff0}, // xids go over the end of their range
	}
}

// template finds where requests differ, and makes the machines.
func (l *load) template() (*Template, []Identity, error) {
	machines := make([]Identity, l.machines)
	for i := range machines {
		id := l.vars.ID + dhcpc.Identity(i)
		machines[i] = Identity{MAC: id.MAC(), UUID: id.UUID()}
	}
	var examples [2]Example
	for i, xid := range [...]uint32{0x5ea1ab1e, 0xc0ffee11} {
		v, m := l.vars, l.meta
		v.XID = xid
		v.ID += dhcpc.Identity(i)
		e := &examples[i]
		*e = Example{XID: xid, Identity: Identity{MAC: v.ID.MAC(), UUID: v.ID.UUID()}}
		if m.SrcMAC == ([6]byte{}) {
			m.SrcMAC = e.MAC
		}
		e.Frame = l.request.Frame(make([]byte, MaxFrame), &m, &v)
	}
	t, err := NewTemplate(examples[0], examples[1])
	return t, machines, err
}

// frame is the request of serial number n as dhcpc makes it, but for what a
// template does without.
func (l *load) frame(t *testing.T, n int) []byte {
	t.Helper()
	v, m := l.vars, l.meta
	v.XID += uint32(n)
	v.ID += dhcpc.Identity(n % l.machines)
	if m.SrcMAC == ([6]byte{}) {
		m.SrcMAC = v.ID.MAC()
	}
	frame := l.request.Frame(make([]byte, MaxFrame), &m, &v)
	if _, err := plain(frame); err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestTemplateMakesEveryRequest(t *testing.T) {
	for name, change := range map[string]func(*load){
		"flat":         func(*load) {},
		"from one MAC": func(l *load) { l.meta.SrcMAC = [6]byte{2, 0, 0, 0, 0, 1} },
		"in a VLAN":    func(l *load) { l.meta.VLANs[0], l.meta.NumVLANs = packet.VLAN{TPID: 0x8100, TCI: 7}, 1 },
		"relayed": func(l *load) {
			l.vars.GIAddr, l.vars.RelayInfo = netip.MustParseAddr("198.51.100.1"), []byte{1, 2, 'e', '1'}
		},
		"without a UUID":   func(l *load) { l.request.Spec.UUID = false },
		"more identifiers": func(l *load) { l.request.Spec.ClientID = true },
	} {
		l := discover(t)
		change(l)
		request, err := dhcpc.NewTemplate(l.request.Spec)
		if err != nil {
			t.Fatal(err)
		}
		l.request = request
		tmpl, machines, err := l.template()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for n := range 2 * l.machines {
			got := make([]byte, MaxFrame)
			got = got[:tmpl.write(got, l.vars.XID+uint32(n), &machines[n%l.machines])]
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
			id := l.vars.ID + dhcpc.Identity(i)
			*e = Example{Frame: l.frame(t, i), XID: l.vars.XID + uint32(i), Identity: Identity{MAC: id.MAC(), UUID: id.UUID()}}
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
