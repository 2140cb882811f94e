package dhcp_test

import (
	"net/netip"
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

var _ dhcp.Policy = (*policy.Snapshot)(nil)

// compiled is a policy of the real kind: known machines, one port of a switch, the rest ignored.
func compiled(t testing.TB) *policy.Snapshot {
	p, err := policy.Compile(policy.Spec{
		Profiles: map[string]policy.Profile{
			"linux": {Files: map[string]string{
				"bios": "undionly.kpxe", "x64-uefi": "snponly.efi", "arm64-uefi": "snponly-arm64.efi",
				"x64-uefi-http": "http://192.0.2.10/snponly.efi", "ipxe": "boot.ipxe",
			}},
			"port7": {Files: map[string]string{"x64-uefi": "port7.efi"}},
		},
		Rules: []policy.Rule{
			{Name: "blocked", Match: policy.Match{MAC: []string{"52:54:00:00:00:*"}}, Boot: policy.Ignore},
			{Name: "port7", Match: policy.Match{CircuitID: []string{"eth7"}}, Boot: "port7"},
			{Name: "lab", Match: policy.Match{Subnet: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, Boot: "linux"},
		},
		Clients: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWithCompiledPolicy(t *testing.T) {
	s := newServer(t)
	s.r = dhcp.New(compiled(t), dhcp.Options{})
	s.w = s.r.NewWorker()
	blocked := disc(x64)
	blocked.CHAddr[3], blocked.CHAddr[4] = 0, 0
	behind7 := relayed().Add(82, info82...)
	abroad := relayed()
	abroad.GIAddr = netip.MustParseAddr("203.0.113.1")
	for _, c := range []struct {
		name   string
		got    *reply
		reason packet.Reason
		file   string
	}{
		{"A1", s.send(disc(x64)), packet.Answered, "snponly.efi"},
		{"A13", s.send(disc(bios)), packet.Answered, "undionly.kpxe"},
		{"A14", s.send(disc(x64).Add(77, []byte("iPXE")...)), packet.Answered, "boot.ipxe"},
		{"A16", s.send(disc(bios).Add(175)), packet.Answered, "boot.ipxe"},
		{"A17", s.send(disc(9)), packet.Answered, "snponly.efi"},
		{"A18 first not configured", s.send(disc(x64).Set(93, 0, 27, 0, 7)), packet.Answered, "snponly.efi"},
		{"A18 first of another transport", s.send(disc(x64).Set(93, 0, 16, 0, 11)), packet.Answered, "snponly-arm64.efi"},
		{"A18 HTTP", s.send(dhcptest.DiscoverHTTP(x64HTTP).Set(93, 0, 7, 0, 16)), packet.Answered, "http://192.0.2.10/snponly.efi"},
		{"A20", s.send(disc(arm64).Set(93, 0)), packet.Answered, "snponly-arm64.efi"},
		{"A20 nowhere", s.send(disc(arm64).Set(93, 0).Set(60, []byte("PXEClient")...)), packet.UnknownArch, ""},
		{"A22", s.send(disc(27)), packet.NoFileForArch, ""},
		{"A24", s.send(dhcptest.DiscoverHTTP(x64HTTP)), packet.Answered, "http://192.0.2.10/snponly.efi"},
		{"A26", s.send(dhcptest.DiscoverHTTP(arm64HTTP)), packet.NoFileForArch, ""},
		{"A34", s.send(blocked), packet.RuleIgnore, ""},
		{"no rule", s.send(relayed()), packet.DefaultIgnore, ""},
		{"C1", s.ask4011(binl()), packet.Answered, "snponly.efi"},
		{"D5", s.send(relayed().Add(82, 5, 4, 192, 0, 2, 0)), packet.Answered, "snponly.efi"},
		{"D9", s.send(abroad), packet.ClientNotAllowed, ""},
		{"behind port 7", s.send(behind7), packet.Answered, "port7.efi"},
		{"behind port 7, on 4011", s.ask(dhcptest.BootServerRequest(x64, routed.Addr()), routed), packet.Answered, "port7.efi"},
	} {
		if c.got.Reason != c.reason || c.reason == packet.Answered && c.got.file() != c.file {
			t.Errorf("%s: %v, want %v %q", c.name, c.got.Result, c.reason, c.file)
		}
	}
}

func TestCompiledPolicyDoesNotAllocate(t *testing.T) {
	w, link, out := dhcp.New(compiled(t), dhcp.Options{}).NewWorker(), lan(), packet.Packet{}
	buf := make([]byte, 0, 1472)
	for _, l := range loads(t) {
		if n := testing.AllocsPerRun(200, func() {
			out.Payload = buf
			w.Handle(start, link, &l.in, &out)
		}); n != 0 {
			t.Errorf("%s: %v allocations", l.name, n)
		}
	}
}

func BenchmarkHandleWithCompiledPolicy(b *testing.B) {
	w, link, out := dhcp.New(compiled(b), dhcp.Options{}).NewWorker(), lan(), packet.Packet{}
	buf := make([]byte, 0, 1472)
	l := loads(b)[0]
	b.ReportAllocs()
	for b.Loop() {
		out.Payload = buf
		if w.Handle(start, link, &l.in, &out).Reason != packet.Answered {
			b.Fatal("no answer")
		}
	}
}
