package dhcp_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// The names of PROTOCOL.md section 8: us, the client, a relay; and a DHCP server.
var (
	S     = netip.MustParseAddr("192.0.2.10")
	C     = netip.MustParseAddr("192.0.2.100")
	R     = netip.MustParseAddr("198.51.100.1")
	other = netip.MustParseAddr("192.0.2.1")
	zero  = netip.IPv4Unspecified()
	bcast = netip.MustParseAddr("255.255.255.255")

	serverMAC = [6]byte{2, 0, 0, 0, 0, 0x10}
	routerMAC = [6]byte{2, 0, 0, 0, 0, 0x01}
	allMACs   = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

	start = time.Unix(1_790_000_000, 0)
)

const (
	bios, ia32, x64, arm64 = 0, 6, 7, 11
	x64HTTP, arm64HTTP     = 16, 19
)

// rack is a policy with one file per architecture, and a log of what it was asked.
type rack struct {
	files   map[policy.Arch]string
	ipxe    string
	silence packet.Reason // for every machine, unless Answered
	circuit string        // only machines behind this circuit
	allowed []netip.Prefix
	classes []string

	asked policy.Machine // the last machine, slices copied
}

func newRack() *rack {
	return &rack{
		files: map[policy.Arch]string{
			bios: "undionly.kpxe", ia32: "ipxe32.efi", x64: "snponly.efi", arm64: "snponly-arm64.efi",
			x64HTTP: "http://192.0.2.10/snponly.efi",
		},
		ipxe:    "boot.ipxe",
		classes: []string{"PXEClient", "HTTPClient"},
	}
}

func (r *rack) Allowed(a netip.Addr) bool {
	return len(r.allowed) == 0 || slices.ContainsFunc(r.allowed, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (r *rack) VendorClass(class []byte) (http, ok bool) {
	for _, c := range r.classes {
		if bytes.HasPrefix(class, []byte(c)) {
			return c == "HTTPClient", true
		}
	}
	return false, false
}

func (r *rack) UsesRelayFacts() bool { return r.circuit != "" }

func (r *rack) Decide(m *policy.Machine) policy.Decision {
	r.asked = *m
	for _, s := range []*[]byte{&r.asked.MAC, &r.asked.UUID, &r.asked.VendorClass, &r.asked.UserClass, &r.asked.CircuitID, &r.asked.RemoteID} {
		*s = bytes.Clone(*s)
	}
	d := policy.Decision{Reason: packet.NoFileForArch}
	switch {
	case r.silence != packet.Answered:
		d.Reason = r.silence
		return d
	case r.circuit != "" && string(m.CircuitID) != r.circuit:
		d.Reason = packet.DefaultIgnore
		return d
	case m.IPXE && r.ipxe != "":
		return policy.Decision{Style: policy.StyleIPXE, File: r.ipxe}
	case m.NumArches == 0:
		d.Reason = packet.UnknownArch
		return d
	}
	for _, a := range m.Arches[:m.NumArches] {
		if a == 9 {
			a = x64 // errata 4624
		}
		file, ok := r.files[a]
		if http := a == x64HTTP || a == arm64HTTP; !ok || http != m.HTTP {
			continue
		}
		d = policy.Decision{Arch: a, File: file}
		switch {
		case a == bios:
			d.Style = policy.StyleBIOS
		case m.HTTP:
			d.Style = policy.StyleHTTP
		}
		return d
	}
	return d
}

// lan is the network that S is on.
func lan() *dhcp.Link {
	return &dhcp.Link{
		Name: "eth0", IfIndex: 3, MAC: serverMAC, Addr: S,
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")},
	}
}

// server is one boot server under test.
type server struct {
	t      testing.TB
	rack   *rack
	r      *dhcp.Responder
	w      *dhcp.Worker
	link   *dhcp.Link
	now    time.Time
	vlans  []packet.VLAN
	port67 uint16 // the port that requests to 67 come from; 0: 68, or 67 if relayed
}

func newServer(t testing.TB) *server { return serverWith(t, newRack()) }

func serverWith(t testing.TB, p *rack) *server {
	r := dhcp.New(p, dhcp.Options{})
	return &server{t: t, rack: p, r: r, w: r.NewWorker(), link: lan(), now: start}
}

// reply is what became of a request.
type reply struct {
	dhcp.Result
	t       testing.TB
	Payload []byte
	Meta    packet.Meta
	*dhcpv4.DHCPv4
}

// send hands a request on 67 to the server, as its relay or client would.
func (s *server) send(m *dhcptest.Message) *reply {
	s.t.Helper()
	return s.deliver(s.incoming(m), m.Bytes())
}

// incoming is the addressing of a request on 67.
func (s *server) incoming(m *dhcptest.Message) packet.Meta {
	meta := packet.Meta{
		IfIndex: 3, SrcMAC: dhcptest.MAC, DstMAC: allMACs,
		Src: netip.AddrPortFrom(zero, 68), Dst: netip.AddrPortFrom(bcast, 67),
	}
	if m.GIAddr.IsValid() {
		meta.SrcMAC, meta.DstMAC = routerMAC, serverMAC
		meta.Src, meta.Dst = netip.AddrPortFrom(m.GIAddr, 67), netip.AddrPortFrom(S, 67)
	}
	if s.port67 != 0 {
		meta.Src = netip.AddrPortFrom(meta.Src.Addr(), s.port67)
	}
	return meta
}

// ask hands a request on 4011 to the server, sent from src.
func (s *server) ask(m *dhcptest.Message, src netip.AddrPort) *reply {
	s.t.Helper()
	return s.deliver(packet.Meta{
		IfIndex: 3, SrcMAC: routerMAC, DstMAC: serverMAC, Src: src, Dst: netip.AddrPortFrom(S, 4011),
	}, m.Bytes())
}

// ask4011 is ask from the port that edk2 uses.
func (s *server) ask4011(m *dhcptest.Message) *reply {
	s.t.Helper()
	return s.ask(m, netip.AddrPortFrom(C, 4011))
}

// deliver is Handle with every reply judged.
func (s *server) deliver(meta packet.Meta, payload []byte) *reply {
	s.t.Helper()
	meta.NumVLANs = uint8(copy(meta.VLANs[:], s.vlans))
	in := packet.Packet{Meta: meta, Payload: payload}
	before := bytes.Clone(payload)
	// A reply buffer is never clean.
	out := packet.Packet{Payload: bytes.Repeat([]byte{0xa5}, 2048)[:0]}
	got := &reply{t: s.t, Result: s.w.Handle(s.now, s.link, &in, &out)}
	if !bytes.Equal(before, payload) {
		s.t.Fatal("Handle changed the request")
	}
	if got.Reason != packet.Answered {
		if len(out.Payload) != 0 {
			s.t.Fatalf("%v, but there is a reply of %d bytes", got.Reason, len(out.Payload))
		}
		return got
	}
	got.Payload, got.Meta = out.Payload, out.Meta
	p, err := judge(payload, &in, &out, s.link)
	if err != nil {
		s.t.Fatalf("reply %x: %v", out.Payload, err)
	}
	got.DHCPv4 = p
	return got
}

// none fails unless the request got silence for that reason.
func (r *reply) none(want packet.Reason) {
	r.t.Helper()
	if r.Reason != want {
		r.t.Fatalf("got %v, want silence: %v", r.Reason, want)
	}
}

// answered fails unless there is a reply.
func (r *reply) answered() *reply {
	r.t.Helper()
	if r.Reason != packet.Answered {
		r.t.Fatalf("no reply: %v", r.Reason)
	}
	return r
}

// option returns an option's data, nil if the reply does not have it.
func (r *reply) option(code uint8) []byte {
	data, ok := r.Options[code]
	if !ok {
		return nil
	}
	return append([]byte{}, data...)
}

// file is the name in the header.
func (r *reply) file() string { return r.BootFileName }
