package publish

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

var (
	S     = netip.MustParseAddr("192.0.2.10")
	C     = netip.MustParseAddr("192.0.2.100")
	zero  = netip.IPv4Unspecified()
	start = time.Unix(1_790_000_000, 0)
)

func lan() *dhcp.Link {
	return &dhcp.Link{
		Name: "eth0", IfIndex: 3, MAC: [6]byte{2, 0, 0, 0, 0, 0x10}, Addr: S,
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")},
	}
}

// files is a policy with a file for everybody.
func files(rules ...policy.Rule) policy.Spec {
	return policy.Spec{Default: "all", Rules: rules, Profiles: map[string]policy.Profile{
		"all": {Files: map[string]string{
			"bios": "undionly.kpxe", "x64-uefi": "snponly.efi", "x64-uefi-http": "http://192.0.2.10/snponly.efi", "ipxe": "boot.ipxe",
		}},
		"other": {Files: map[string]string{"x64-uefi": "other.efi", "bios": "other.kpxe"}},
	}}
}

func answers(t testing.TB, spec policy.Spec) *dhcp.Responder {
	t.Helper()
	s, err := policy.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	return dhcp.New(s, dhcp.Options{})
}

// requests are all kinds that a template is made of.
func requests() map[string]packet.Packet { return at.Kinds() }

var at = dhcptest.Vantage{Server: S, ServerMAC: lan().MAC, IfIndex: 3}

func from67(m *dhcptest.Message) packet.Packet                   { return at.From67(m) }
func from4011(m *dhcptest.Message, src netip.Addr) packet.Packet { return at.From4011(m, src) }
func relayed(arch uint16) *dhcptest.Message                      { return dhcptest.Relayed(arch) }
func tagged(p packet.Packet, ids ...uint16) packet.Packet        { return dhcptest.Tagged(p, ids...) }

// policies are such that decisions rest on everything that a rule can name.
func policies() map[string]policy.Spec {
	mac, guid := "52:54:00:12:34:56", "4c4c4544-004a-3510-8038-5ac04f334d32"
	return map[string]policy.Spec{
		"all":     files(),
		"nobody":  {},
		"mac":     files(policy.Rule{Name: "m", Match: policy.Match{MAC: []string{mac}}, Boot: "other"}),
		"others":  files(policy.Rule{Match: policy.Match{MAC: []string{"02:*"}}, Boot: policy.Ignore}),
		"uuid":    files(policy.Rule{Match: policy.Match{UUID: []string{guid}}, Boot: "other"}),
		"arch":    files(policy.Rule{Match: policy.Match{Arch: []string{"bios"}, MAC: []string{"02:*"}}, Boot: policy.Ignore}),
		"classes": files(policy.Rule{Match: policy.Match{UserClass: []string{"iPXE"}}, Boot: policy.Ignore}, policy.Rule{Match: policy.Match{VendorClass: []string{"HTTP*"}}, Boot: policy.Ignore}),
		"subnet":  files(policy.Rule{Match: policy.Match{Subnet: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")}}, Boot: "other"}),
		"net":     files(policy.Rule{Match: policy.Match{Subnet: []netip.Prefix{netip.MustParsePrefix("198.51.0.0/16")}}, Boot: "other"}),
		"circuit": files(policy.Rule{Match: policy.Match{CircuitID: []string{"eth1*"}}, Boot: policy.Ignore}),
		"remote":  files(policy.Rule{Match: policy.Match{RemoteID: []string{"x*"}}, Boot: policy.Ignore}),
		"clients": {Default: "all", Profiles: files().Profiles, Clients: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25"), netip.MustParsePrefix("198.51.100.0/24")}},
		"long":    {Default: "all", Profiles: map[string]policy.Profile{"all": {Files: map[string]string{"x64-uefi": strings.Repeat("long/", 40) + "a", "bios": "b"}}}},
	}
}

func compileOf(t testing.TB, r *dhcp.Responder, link *dhcp.Link, in packet.Packet) (*Template, Why, dhcp.Result) {
	t.Helper()
	out := packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
	res := r.NewWorker().Handle(start, link, &in, &out)
	tpl, why := NewCompiler(rand.New(rand.NewPCG(1, 2))).Compile(start, &Request{Generation: 1, Answers: r, Link: link, Packet: in, Result: res})
	if why == WhyDiffers {
		t.Errorf("the template does not do what tier 1 does")
	}
	if (tpl == nil) == (why == Published) {
		t.Fatalf("template %v, but %v", tpl != nil, why)
	}
	return tpl, why, res
}

// Whatever a template holds for, tier 1 answers the same way: every byte of
// the message and every field of the addressing is changed in turn.
func TestTemplatesHoldForNothingElse(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	made, fitted := 0, 0
	for pname, spec := range policies() {
		r := answers(t, spec)
		w, link := r.NewWorker(), lan()
		for rname, in := range requests() {
			tpl, _, _ := compileOf(t, r, link, in)
			if tpl == nil {
				continue
			}
			made++
			check := func(what string, changed packet.Packet) {
				got := packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
				if !tpl.Answer(&changed, &got) {
					return
				}
				fitted++
				want := packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
				res := w.Handle(start, link, &changed, &want)
				if OutcomeOf(res.Stage, res.Reason) != tpl.Outcome || res.Reason == packet.Answered && !same(&got, &want) || res.Reason != packet.Answered && len(got.Payload) != 0 {
					t.Errorf("policy %s, request %s, %s: tier 1 says %v %+v", pname, rname, what, res.Reason, res.Decision)
				}
			}
			check("as it was", in)
			for i := range in.Payload {
				for _, b := range []byte{in.Payload[i] ^ 1, in.Payload[i] ^ 0x80, byte(rng.Uint32())} {
					changed := in
					changed.Payload = bytes.Clone(in.Payload)
					changed.Payload[i] = b
					check("byte", changed)
				}
			}
			for what, change := range addressings() {
				changed := in
				changed.Payload = bytes.Clone(in.Payload)
				change(&changed)
				check(what, changed)
			}
			shorter := in
			shorter.Payload = in.Payload[:len(in.Payload)-1]
			check("shorter", shorter)
		}
	}
	if made < 150 || fitted < 10*made {
		t.Errorf("%d templates were made, and fitted %d changed requests", made, fitted)
	}
}

func addressings() map[string]func(*packet.Packet) {
	src := func(a string, port uint16) func(*packet.Packet) {
		return func(p *packet.Packet) { p.Src = netip.AddrPortFrom(netip.MustParseAddr(a), port) }
	}
	return map[string]func(*packet.Packet){
		"to us":        func(p *packet.Packet) { p.Dst = netip.AddrPortFrom(S, p.Dst.Port()) },
		"port 67":      func(p *packet.Packet) { p.Dst = netip.AddrPortFrom(p.Dst.Addr(), 67) },
		"port 4011":    func(p *packet.Packet) { p.Dst = netip.AddrPortFrom(p.Dst.Addr(), 4011) },
		"group source": func(p *packet.Packet) { p.SrcMAC[0] |= 1 },
		"vlan":         func(p *packet.Packet) { *p = tagged(*p, 9) },
		"no tags":      func(p *packet.Packet) { p.NumVLANs = 0 },
		"other host":   src("192.0.2.101", 4011),
		"far half":     src("192.0.2.201", 4011),
		"first":        src("192.0.2.0", 4011),
		"last":         src("192.0.2.255", 4011),
		"ours":         src("192.0.2.10", 4011),
		"no source":    src("0.0.0.0", 68),
		"loopback":     src("127.0.0.1", 4011),
		"group":        src("224.0.0.1", 4011),
		"routed":       src("198.51.100.78", 4011),
		"port 0":       src("192.0.2.102", 0),
		"same ciaddr": func(p *packet.Packet) {
			p.Src = netip.MustParseAddrPort("192.0.2.103:5000")
			copy(p.Payload[12:], []byte{192, 0, 2, 103})
		},
		"other ciaddr": func(p *packet.Packet) { copy(p.Payload[12:], []byte{192, 0, 2, 203}) },
		"other machine": func(p *packet.Packet) {
			copy(p.Payload[28:], []byte{2, 0, 0, 0, 0, 9})
			if i := bytes.Index(p.Payload, dhcptest.GUID[:]); i > 44 {
				p.Payload[i+15]++
			}
		},
	}
}

// What is published, and for whom.
func TestCompile(t *testing.T) {
	all, circuit := answers(t, files()), answers(t, policies()["circuit"])
	some := answers(t, policies()["mac"])
	for _, tc := range []struct {
		name  string
		r     *dhcp.Responder
		in    packet.Packet
		want  Why
		exact bool
	}{
		{"a class", all, requests()["uefi"], Published, false},
		{"a class on 4011", all, requests()["4011"], Published, false},
		{"routed", all, requests()["4011 routed"], Published, false},
		{"another ciaddr", all, requests()["4011 ciaddr"], WhySource, false},
		{"a machine", some, requests()["uefi"], Published, true},
		{"a machine on 4011", some, requests()["4011"], Published, true},
		{"part of the network", answers(t, policies()["subnet"]), requests()["4011"], Published, true},
		{"other networks", answers(t, policies()["net"]), requests()["4011"], Published, true},
		{"allowed in part", answers(t, policies()["clients"]), requests()["4011"], Published, false},
		{"not allowed", answers(t, policies()["clients"]), from4011(dhcptest.BootServerRequest(7, zero), netip.MustParseAddr("192.0.2.200")), WhySource, false},
		{"ignored", answers(t, policy.Spec{}), requests()["uefi"], Published, false},
		{"circuit", circuit, from67(relayed(7).Set(82, 1, 3, 'x', 'y', 'z')), WhyRelayFacts, false},
		{"ignored by circuit", circuit, requests()["relayed"], Published, false},
		{"circuit on 4011", circuit, requests()["4011"], WhyRelayFacts, false},
		{"circuit without 82", circuit, requests()["uefi"], Published, false},
		{"no end", all, from67(noEnd(dhcptest.Discover(7))), WhyNoted, false},
		{"relay port", all, from67(relayed(7).Set(82, 19, 0)), WhyNoted, false},
		{"overload", all, from67(dhcptest.Discover(7).Add(52, 1)), WhyOverload, false},
		{"long request", all, from67(dhcptest.Discover(7).Add(43, make([]byte, 255)...).Add(43, make([]byte, 100)...)), WhyTooLong, false},
		{"long answer", answers(t, policies()["long"]), from67(relayed(7).Add(61, make([]byte, 150)...)), WhyTooLong, false},
		{"lease", all, from67(lease()), WhyOutcome, false},
		{"not pxe", all, from67(dhcptest.Discover(7).Set(60, 'M')), WhyOutcome, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tpl, why, res := compileOf(t, tc.r, lan(), tc.in)
			if why != tc.want {
				t.Fatalf("got %v (tier 1: %v), want %v", why, res.Reason, tc.want)
			}
			if tpl != nil && tpl.Exact != tc.exact {
				t.Errorf("exact: %v", tpl.Exact)
			}
		})
	}
}

func noEnd(m *dhcptest.Message) *dhcptest.Message { m.NoEnd = true; return m }

func lease() *dhcptest.Message { return dhcptest.Discover(7).Set(53, 3) }

// A template for one kind of machine does not answer another: iPXE is not its firmware.
func TestClassesAreTheirOwn(t *testing.T) {
	r := answers(t, files())
	uefi, _, _ := compileOf(t, r, lan(), requests()["uefi"])
	for _, other := range []string{"ipxe", "bios", "http", "relayed", "vlan", "4011"} {
		in := requests()[other]
		if uefi.Answer(&in, &packet.Packet{Payload: make([]byte, 0, 2000)}) {
			t.Errorf("the firmware's template answers %s", other)
		}
	}
}

// FuzzTemplates: a template of any request holds for no other one that tier 1 answers otherwise.
func FuzzTemplates(f *testing.F) {
	for _, in := range requests() {
		f.Add(in.Payload, in.Dst.Port() == 4011, uint16(30), byte(1), uint8(3))
	}
	var all []*dhcp.Responder
	for _, spec := range policies() {
		all = append(all, answers(f, spec))
	}
	f.Fuzz(func(t *testing.T, msg []byte, on4011 bool, at uint16, b byte, which uint8) {
		r := all[int(which)%len(all)]
		meta := requests()["relayed"].Meta
		if on4011 {
			meta = requests()["4011"].Meta
		}
		in := packet.Packet{Meta: meta, Payload: msg}
		out := packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
		w := r.NewWorker()
		res := w.Handle(start, lan(), &in, &out)
		if publishable&(1<<res.Reason) == 0 {
			return
		}
		tpl, _, _ := compileOf(t, r, lan(), in)
		if tpl == nil {
			return
		}
		changed := in
		changed.Payload = bytes.Clone(msg)
		changed.Payload[int(at)%len(msg)] ^= b
		binary.BigEndian.PutUint32(changed.Payload[offXID:], uint32(at))
		got, want := packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}, packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
		if !tpl.Answer(&changed, &got) {
			return
		}
		res = w.Handle(start, lan(), &changed, &want)
		if OutcomeOf(res.Stage, res.Reason) != tpl.Outcome || res.Reason == packet.Answered && !same(&got, &want) {
			t.Errorf("tier 1 says %v", res.Reason)
		}
	})
}
