package dhcp_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// quiet is a rack that keeps no record, which would allocate.
type quiet struct {
	file  string
	style policy.Style
	facts bool
}

func (q *quiet) Decide(*policy.Machine) policy.Decision {
	return policy.Decision{Style: q.style, File: q.file}
}
func (q *quiet) Allowed(netip.Addr) bool { return true }
func (q *quiet) VendorClass(class []byte) (http, ok bool) {
	return string(class[:min(len(class), 10)]) == "HTTPClient", string(class[:min(len(class), 9)]) == "PXEClient" || q.style == policy.StyleHTTP
}
func (q *quiet) UsesRelayFacts() bool { return q.facts }

// load is one kind of request, made ready for Handle.
type load struct {
	name   string
	policy *quiet
	in     packet.Packet
	want   packet.Reason
}

func loads(t testing.TB) []load {
	s := newServer(t)
	on67 := func(m *dhcptest.Message) packet.Packet { return packet.Packet{Meta: s.incoming(m), Payload: m.Bytes()} }
	on4011 := func(m *dhcptest.Message) packet.Packet {
		return packet.Packet{Meta: packet.Meta{IfIndex: 3, Src: netip.AddrPortFrom(C, 4011), Dst: netip.AddrPortFrom(S, 4011)}, Payload: m.Bytes()}
	}
	uefi := &quiet{file: "snponly.efi", style: policy.StyleUEFI}
	split := disc(x64).Drop(97).Add(97, uuid97[:9]...).Add(61, 1).Add(97, uuid97[9:]...).Add(61, 2, 3)
	full := relayed().Add(82, info82...).Add(61, 1, 2, 3).Add(118, 10, 0, 0, 0).Add(77, []byte("\x04iPXE")...)
	return []load{
		{"discover-uefi", uefi, on67(disc(x64)), packet.Answered},
		{"discover-bios", &quiet{file: "undionly.kpxe", style: policy.StyleBIOS}, on67(disc(bios)), packet.Answered},
		{"discover-http", &quiet{file: "http://192.0.2.10/" + strings.Repeat("d/", 75), style: policy.StyleHTTP}, on67(dhcptest.DiscoverHTTP(x64HTTP)), packet.Answered},
		{"discover-relayed", uefi, on67(full), packet.Answered},
		{"discover-relay-facts", &quiet{file: "f", facts: true}, on67(full), packet.Answered},
		{"discover-split-options", uefi, on67(split), packet.Answered},
		{"boot-server", uefi, on4011(binl()), packet.Answered},
		{"boot-server-relay-facts", &quiet{file: "f", facts: true}, on4011(binl()), packet.Answered},
		{"not-pxe", uefi, on67(disc(x64).Set(60, []byte("MSFT 5.0")...)), packet.NotPXE},
		{"lease-request", uefi, on67(leaseRequest().Add(54, other.AsSlice()...)), packet.OtherServer},
		{"no-file", &quiet{}, on67(disc(x64)), packet.NoFileForArch},
	}
}

func TestHandleDoesNotAllocate(t *testing.T) {
	for _, l := range loads(t) {
		w, link, out := dhcp.New(l.policy, dhcp.Options{}).NewWorker(), lan(), packet.Packet{}
		buf := make([]byte, 0, 1472)
		if n := testing.AllocsPerRun(200, func() {
			out.Payload = buf
			if res := w.Handle(start, link, &l.in, &out); res.Reason != l.want {
				t.Fatalf("%s: %v", l.name, res.Reason)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", l.name, n)
		}
	}
}

func BenchmarkHandle(b *testing.B) {
	for _, l := range loads(b) {
		b.Run(l.name, func(b *testing.B) {
			w, link, out := dhcp.New(l.policy, dhcp.Options{}).NewWorker(), lan(), packet.Packet{}
			buf := make([]byte, 0, 1472)
			b.ReportAllocs()
			for b.Loop() {
				out.Payload = buf
				w.Handle(start, link, &l.in, &out)
			}
		})
	}
}
