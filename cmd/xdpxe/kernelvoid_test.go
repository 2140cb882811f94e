package main

import (
	"bytes"
	"context"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// mutations are all that policy or reply read of a request, each changed in turn.
func mutations(at dhcptest.Vantage) map[string]func() packet.Packet {
	with := func(edit func(*dhcptest.Message)) func() packet.Packet {
		return func() packet.Packet {
			m := dhcptest.Relayed(7)
			edit(m)
			return at.From67(m)
		}
	}
	option := func(code byte, data ...byte) func() packet.Packet {
		return with(func(m *dhcptest.Message) { m.Set(code, data...) })
	}
	relayInfo := func(data string) func() packet.Packet { return option(82, []byte(data)...) }
	return map[string]func() packet.Packet{
		"stage":          func() packet.Packet { return at.From4011(dhcptest.Relayed(7), netip.MustParseAddr("198.51.100.9")) },
		"message type":   option(53, 3),
		"server id":      option(54, 198, 51, 100, 77),
		"user class":     option(77, []byte("iPXE")...),
		"ipxe":           option(175, 1),
		"vendor class":   option(60, []byte("PXEClient:Arch:00000:UNDI:003016")...),
		"http":           option(60, []byte("HTTPClient:Arch:0007:UNDI:003016")...),
		"arch":           option(93, 0, 0),
		"arches":         option(93, 0, 7, 0, 0),
		"max size":       option(57, 2, 64),
		"uuid length":    option(97, 0, 1, 2),
		"subnet option":  option(118, 10, 9, 0, 0),
		"boot item":      option(43, 71, 4, 0, 0, 0, 0),
		"giaddr":         with(func(m *dhcptest.Message) { m.GIAddr = m.GIAddr.Next() }),
		"no relay":       with(func(m *dhcptest.Message) { m.GIAddr = netip.Addr{} }),
		"hops":           with(func(m *dhcptest.Message) { m.Hops = 2 }),
		"flags":          with(func(m *dhcptest.Message) { m.Flags = 0x0001 }),
		"htype":          with(func(m *dhcptest.Message) { m.HType = 6 }),
		"hlen":           with(func(m *dhcptest.Message) { m.HLen = 16 }),
		"circuit id":     relayInfo("\x01\x04eth9\x02\x02r1\x05\x04\xc6\x33\x64\x09"),
		"circuit length": relayInfo("\x01\x03eth\x02\x03r11\x05\x04\xc6\x33\x64\x09"),
		"remote id":      relayInfo("\x01\x04eth1\x02\x02r9\x05\x04\xc6\x33\x64\x09"),
		"link selection": relayInfo("\x01\x04eth1\x02\x02r1\x05\x04\x0a\x00\x00\x09"),
		"sub-option":     relayInfo("\x01\x04eth1\x02\x02r1\x06\x04\xc6\x33\x64\x09"),
		"bad 82":         relayInfo("\x01\x04eth1\x02\x02r1\x05\x09\xc6\x33\x64\x09"),
		"uuid": with(func(m *dhcptest.Message) {
			m.Set(97, append([]byte{0}, bytes.Repeat([]byte{9}, 16)...)...)
		}),
		"mac":       with(func(m *dhcptest.Message) { m.CHAddr[5]++ }),
		"mac's end": with(func(m *dhcptest.Message) { m.CHAddr[15]++ }),
		"client id": option(61, 1, 2, 3),
		"vlan":      func() packet.Packet { return dhcptest.Tagged(at.From67(dhcptest.Relayed(7)), 9) },
		"broadcast": func() packet.Packet {
			p := at.From67(dhcptest.Relayed(7))
			p.Dst = netip.MustParseAddrPort("255.255.255.255:67")
			p.DstMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
			return p
		},
	}
}

// No template answers a request that it was not made of: while it holds, each
// field that policy or reply read is changed, under policies by which the change
// makes a difference, and what comes back is what the daemon answers.
func TestNoForeignTemplateAnswers(t *testing.T) {
	profile := everybody()
	rule := func(m policy.Match) policy.Spec {
		s := profile
		s.Rules = []policy.Rule{{Name: "it", Match: m, Boot: "other"}}
		return s
	}
	r := newKernelRig(t, profile)
	for name, spec := range map[string]policy.Spec{
		"one for all":   profile,
		"by mac":        rule(policy.Match{MAC: []string{"52:54:00:12:34:56"}}),
		"by uuid":       rule(policy.Match{UUID: []string{"4c4c4544-004a-3510-8038-5ac04f334d32"}}),
		"by user class": rule(policy.Match{UserClass: []string{"iPXE"}}),
		"by subnet":     rule(policy.Match{Subnet: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28")}}),
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.setPolicy(spec)
			base := r.at.From67(dhcptest.Relayed(7))
			r.learn("base", base)
			for what, change := range mutations(r.at) {
				r.check(what, change())
				if !r.ask("base after "+what, base) {
					t.Errorf("after %s the kernel no longer answers the request itself", what)
				}
			}
		})
	}
}

// check is ask for requests that may be none of ours.
func (r *kernelRig) check(name string, in packet.Packet) {
	r.t.Helper()
	if _, res := r.want(&in); res.Reason == packet.Answered {
		r.ask(name, in)
		return
	}
	in = r.fresh(in)
	r.client.Send(r.t, frameOf(&in.Meta, in.Payload))
	// An answered request behind it: frames stay in order.
	after := r.fresh(r.at.From67(dhcptest.Discover(0)))
	want, _ := r.want(&after)
	r.client.Send(r.t, frameOf(&after.Meta, after.Payload))
	r.client.Next(r.t, func(frame []byte) bool {
		var p packet.Packet
		if packet.Parse(frame, &p) == packet.Answered && len(p.Payload) > 8 && bytes.Equal(p.Payload[4:8], in.Payload[4:8]) {
			r.t.Errorf("%s: answered with %x", name, frame)
		}
		return bytes.Equal(frame, want)
	})
}

// A change of policy, of addresses, or of who is served holds for the next
// request, whoever answers that; and a capture sees all of them.
func TestKernelAnswersAreVoidAtOnce(t *testing.T) {
	r := newKernelRig(t, everybody())
	in := r.at.From67(dhcptest.Discover(7))
	fresh := func(why string) {
		t.Helper()
		if r.ask(why, in) {
			t.Errorf("%s: answered by a template that is void", why)
		}
		r.learn(why, in)
	}
	fresh("at first")
	for range 3 {
		other := everybody()
		other.Default = "other"
		r.setPolicy(other)
		fresh("another file")
		r.setPolicy(everybody())
		fresh("the first file")
	}
	r.setPolicy(policy.Spec{})
	fresh("nobody is served")
	r.setPolicy(everybody())
	fresh("served again")

	links := responder.Links{}
	for key, l := range r.links {
		moved := *l
		moved.Addr = netip.MustParseAddr("198.51.100.3")
		links[key] = &moved
	}
	r.links = links
	r.server.SetLinks(links)
	fresh("another address")

	frames := make(chan responder.Frame, 64)
	cancel := r.server.Tap("", func(f responder.Frame) { frames <- f })
	for range 3 {
		if r.ask("captured", in) {
			t.Error("answered in the kernel, unseen by a capture")
		}
	}
	cancel()
	if len(frames) != 6 {
		t.Errorf("the capture has %d frames of 3 exchanges", len(frames))
	}
	r.learn("after the capture", in)
}

// What is ignored costs no wake-up once the kernel knows.
func TestIgnoredClientsWakeNobody(t *testing.T) {
	r := newKernelRig(t, policy.Spec{})
	in := r.at.From67(dhcptest.Discover(7))
	r.learn("ignored", in)
	received := r.wire.Stats().Received
	_, res := r.want(&in)
	before := r.kernelCount(res)
	for i := range 100 {
		one := r.fresh(in)
		one.Payload[33] = byte(i)
		r.client.Send(t, frameOf(&one.Meta, one.Payload))
	}
	for end := time.Now().Add(kernelPatience); r.kernelCount(res) < before+100; {
		if time.Now().After(end) {
			t.Fatalf("the kernel ignored %d of 100", r.kernelCount(res)-before)
		}
	}
	if now := r.wire.Stats().Received; now != received {
		t.Errorf("%d of 100 ignored requests came to a worker", now-received)
	}
}

// A dead daemon's kernel answers nothing.
func TestDeadDaemonsKernelIsSilent(t *testing.T) {
	r := newKernelRig(t, everybody())
	in := r.at.From67(dhcptest.Discover(7))
	r.learn("alive", in)
	counts, err := r.path.Counters()
	if err != nil {
		t.Fatal(err)
	}
	r.path.StopBeat()
	_, res := r.want(&in)
	before := r.kernelCount(res)
	one := r.fresh(in)
	r.client.Send(t, frameOf(&one.Meta, one.Payload))
	for end := time.Now().Add(kernelPatience); ; {
		now, err := r.path.Counters()
		if err != nil {
			t.Fatal(err)
		}
		if now["heartbeat_stale"] > counts["heartbeat_stale"] {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the request was not passed")
		}
	}
	if r.kernelCount(res) != before {
		t.Error("answered")
	}
	r.path.Beat()
	if !r.ask("alive again", in) {
		t.Error("the kernel does not answer when the daemon is back")
	}
}

// A client that only the kernel has seen is in the counts, the log and the history.
func TestKernelAnswersAreTold(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	r := loggingKernelRig(t, everybody(), zap.New(core))
	in := r.at.From67(dhcptest.Discover(7))
	r.learn("by one machine", in)
	in.Payload = bytes.Clone(in.Payload)
	in.Payload[33] = 0x77
	if !r.ask("another machine", in) {
		t.Fatal("not answered in the kernel")
	}
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan struct{})
	go func() { defer close(told); r.server.Run(ctx) }()
	p := &port{opts: portOptions{}, server: r.server, log: zap.NewNop()}
	p.opts.Iface = r.near.Name
	reading := make(chan struct{})
	go func() { defer close(reading); p.readEvents(ctx, &opened{path: r.path}) }()
	defer func() { cancel(); <-told; <-reading }()

	const mac = "52:54:00:12:34:77"
	var found *responder.Event
	for end := time.Now().Add(kernelPatience); found == nil; {
		for _, e := range r.server.Journal().Recent() {
			if e.Client() == mac {
				found = &e
			}
		}
		if time.Now().After(end) {
			t.Fatalf("no event of %s: %+v", mac, r.server.Journal().Recent())
		}
	}
	if found.Tier != responder.TierKernel || found.Stage != dhcp.StageDiscover || found.Reason != packet.Answered || found.File != "snponly.efi" ||
		found.Profile != "all" || found.Arch != policy.ArchX64UEFI || !found.HasUUID || found.UUID != dhcptest.GUID || found.XID != 0x5eed0000+r.xid ||
		found.Iface != r.near.Name || found.Relay.IsValid() || time.Since(found.Time).Abs() > time.Minute {
		t.Errorf("%+v", *found)
	}
	counted := false
	for _, c := range r.server.Counts() {
		counted = counted || c.Tier == responder.TierKernel && c.Stage == dhcp.StageDiscover && c.Reason == packet.Answered && c.Requests >= 2
	}
	if !counted {
		t.Errorf("counts %+v", r.server.Counts())
	}
	cancel()
	<-told
	if logs.FilterField(zap.String("client", mac)).FilterField(zap.String("tier", "kernel")).Len() != 1 {
		t.Errorf("the log has %v", logs.All())
	}
}
