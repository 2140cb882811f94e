package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/storm"
	"github.com/xdpxe/xdpxe/loader"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
	"github.com/xdpxe/xdpxe/responder/publish"
)

// kernelPatience is longer than anything here takes; it is never waited out in a test that passes.
const kernelPatience = 20 * time.Second

// kernelRig is a veth pair in a namespace of its own, whose near end is served
// by XDP, an AF_XDP worker and the kernel's templates.
type kernelRig struct {
	t       *testing.T
	near    xsktest.End
	client  *xsktest.Tap
	path    *loader.Datapath
	server  *responder.Server
	kernel  *publish.Publisher
	wire    conn.Conn
	answers *dhcp.Responder
	links   responder.Links
	at      dhcptest.Vantage
	xid     uint32

	kept, changed int // templates of the life before
}

func newKernelRig(t *testing.T, spec policy.Spec) *kernelRig {
	return loggingKernelRig(t, spec, zap.NewNop())
}

func loggingKernelRig(t *testing.T, spec policy.Spec, log *zap.Logger) *kernelRig {
	t.Helper()
	r := vethRig(t)
	end := r.serve(spec, "", log)
	t.Cleanup(func() {
		end()
		r.path.Close()
	})
	return r
}

// vethRig is a kernelRig that nobody serves yet.
func vethRig(t *testing.T) *kernelRig {
	t.Helper()
	xsktest.Namespace(t)
	near, far := xsktest.Veth(t, 1)
	near.Address(t, netip.MustParsePrefix("198.51.100.2/24"))
	// The other end of a veth takes what XDP sends only if it polls.
	if err := netdev.SetFeatures(far.Name, true, "rx-gro"); err != nil {
		t.Fatal(err)
	}
	return &kernelRig{t: t, near: near, client: xsktest.OpenTap(t, far)}
}

// serve is a daemon's life. end ends its goroutines.
func (r *kernelRig) serve(spec policy.Spec, pins string, log *zap.Logger) (end func()) {
	t, near := r.t, r.near
	t.Helper()
	r.server = responder.New(log)
	path, err := loader.Open(loader.Options{Iface: near.Name, Datapath: loader.Native, Deliver: loader.Steal, Stale: time.Minute, PinDir: pins})
	if err != nil {
		t.Fatal(err)
	}
	r.path = path
	facts, err := netdev.Read(near.Name)
	if err != nil {
		t.Fatal(err)
	}
	// An address for networks without a device, so that tagged requests are answered as well.
	server := facts.Addrs[0].IP
	if err := path.SetAddrs(loader.Addrs(facts, server)); err != nil {
		t.Fatal(err)
	}
	r.links = linksOf(facts, 0, server)
	r.at = dhcptest.Vantage{Server: server, ServerMAC: near.MAC, IfIndex: near.Index}
	r.server.SetLinks(r.links)
	r.setPolicy(spec)
	if err := path.SetAnswer(true, true); err != nil {
		t.Fatal(err)
	}
	r.kernel = r.server.Publisher(near.Name)
	if r.kept, r.changed, err = r.kernel.Succeed(kernelSide{path}, publish.Limits{}, r.server.Answering); err != nil {
		t.Fatal(err)
	}
	r.wire = conn.NewXSK(path.Sockets()[0], near.Index, near.MAC)
	path.Beat()

	ctx, cancel := context.WithCancel(context.Background())
	served, published := make(chan error, 1), make(chan struct{})
	go func() { served <- r.server.Serve(ctx, r.wire, near.Name, "native", r.kernel.Offers()) }()
	go func() { defer close(published); r.kernel.Run(ctx, func(err error) { t.Error(err) }) }()
	return func() {
		cancel()
		<-published
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

func (r *kernelRig) setPolicy(spec policy.Spec) {
	r.t.Helper()
	p, err := policy.Compile(spec)
	if err != nil {
		r.t.Fatal(err)
	}
	r.answers = dhcp.New(p, dhcp.Options{Previous: r.answers})
	r.server.SetAnswers(r.answers)
}

// link is the network of a request, as a worker finds it.
func (r *kernelRig) link(in *packet.Packet) *dhcp.Link {
	key := responder.LinkKey{Port: in.IfIndex}
	if in.NumVLANs > 0 && in.VLANs[0].VID() != 0 {
		key.VIDs = [2]uint16{responder.AnyVLAN, responder.AnyVLAN}
	}
	return r.links[key]
}

// want is the reply frame to a request, nil for silence, as tiers 1 and 2 make it.
func (r *kernelRig) want(in *packet.Packet) ([]byte, dhcp.Result) {
	out := packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
	res := r.answers.NewWorker().Handle(time.Now(), r.link(in), in, &out)
	if res.Reason != packet.Answered {
		return nil, res
	}
	return frameOf(&out.Meta, out.Payload), res
}

// fresh gives a request a transaction id of its own.
func (r *kernelRig) fresh(in packet.Packet) packet.Packet {
	in.Payload = bytes.Clone(in.Payload)
	r.xid++
	binary.BigEndian.PutUint32(in.Payload[4:], 0x5eed0000+r.xid)
	return in
}

func (r *kernelRig) kernelCount(res dhcp.Result) uint64 {
	r.t.Helper()
	sums, err := r.kernel.Outcomes()
	if err != nil {
		r.t.Fatal(err)
	}
	return sums[publish.OutcomeOf(res.Stage, res.Reason)]
}

// ask sends a request and wants what tier 1 would answer, whoever answers. It
// returns whether the kernel did.
func (r *kernelRig) ask(name string, in packet.Packet) (inKernel bool) {
	r.t.Helper()
	in = r.fresh(in)
	want, res := r.want(&in)
	before, taken := r.kernelCount(res), r.wire.Stats().Received
	r.client.Send(r.t, frameOf(&in.Meta, in.Payload))
	if want == nil {
		for end := time.Now().Add(kernelPatience); ; {
			if r.kernelCount(res) > before {
				return true
			}
			if r.wire.Stats().Received > taken {
				return false
			}
			if time.Now().After(end) {
				r.t.Fatalf("%s: neither the kernel nor a worker took the request", name)
			}
		}
	}
	xid := in.Payload[4:8]
	got := r.client.Next(r.t, func(frame []byte) bool {
		var p packet.Packet
		return packet.Parse(frame, &p) == packet.Answered && len(p.Payload) > 8 && p.Payload[0] == 2 && bytes.Equal(p.Payload[4:8], xid)
	})
	inKernel = r.kernelCount(res) > before
	if !bytes.Equal(got, want) {
		r.t.Errorf("%s, in the kernel: %v:\ngot  %x\nwant %x", name, inKernel, got, want)
	}
	return inKernel
}

// learn asks until the kernel answers, or has had the time to be told what not to answer.
func (r *kernelRig) learn(name string, in packet.Packet) {
	r.t.Helper()
	for end := time.Now().Add(kernelPatience); !r.ask(name, in); {
		if time.Now().After(end) {
			r.t.Fatalf("%s: the kernel does not come to answer it: %+v", name, r.kernel.State())
		}
	}
}

func everybody() policy.Spec {
	return policy.Spec{Default: "all", Profiles: map[string]policy.Profile{
		"all": {Files: map[string]string{
			"bios": "undionly.kpxe", "x64-uefi": "snponly.efi", "arm64-uefi": "arm.efi", "x64-uefi-http": "http://198.51.100.2/snponly.efi", "ipxe": "boot.ipxe",
		}},
		"other": {Files: map[string]string{"x64-uefi": "other.efi", "bios": "other.kpxe", "ipxe": "other.ipxe"}},
	}}
}

// profileRequests are what the storms' firmware sends.
func profileRequests(t *testing.T, at dhcptest.Vantage) map[string]packet.Packet {
	t.Helper()
	profiles, err := storm.LoadProfiles("")
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[string]packet.Packet)
	for name, p := range profiles {
		const id dhcpc.Identity = 7
		for kind, typ := range map[string]uint8{"discover": dhcpc.Discover, "boot server": dhcpc.Request} {
			spec := p.Messages
			spec.Type = typ
			tpl, err := dhcpc.NewTemplate(spec)
			if err != nil {
				t.Fatal(err)
			}
			in := at.From67(dhcptest.Discover(7))
			v := dhcpc.Vars{ID: id, XID: 1}
			if typ == dhcpc.Request {
				client := netip.MustParseAddr("198.51.100.100")
				in = at.From4011(dhcptest.Discover(7), client)
				v.CIAddr = client
			}
			in.Payload = tpl.Append(nil, &v)
			list["profile "+name+" "+kind] = in
		}
	}
	return list
}

// All tiers give the same frame to the same request, byte for byte: what is
// expected comes from tier 2's code, the first answer from an AF_XDP worker, and
// later ones, to other machines, from the kernel.
func TestTheKernelAnswersAsTheDaemon(t *testing.T) {
	r := newKernelRig(t, everybody())
	requests := r.at.Kinds()
	for name, in := range profileRequests(t, r.at) {
		requests[name] = in
	}
	kernel := 0
	for name, in := range requests {
		want, res := r.want(&in)
		if len(in.Payload) > publish.MaxMessage || name == "4011 ciaddr" || res.Reason == packet.HTTPOn4011 {
			for range 3 {
				if r.ask(name, in) {
					t.Errorf("%s: answered in the kernel", name)
				}
			}
			continue
		}
		if res.Reason != packet.Answered && res.Reason != packet.UnknownArch && res.Reason != packet.NoFileForArch {
			t.Errorf("%s: %v, %x", name, res.Reason, want)
			continue
		}
		r.learn(name, in)
		kernel++
		// A machine that was never seen, and another client's address.
		in.Payload = bytes.Clone(in.Payload)
		in.SrcMAC = [6]byte{2, 0, 0, 0x0a, 0x0b, byte(kernel)}
		if in.Payload[2] != 0 && name != "split uuid" {
			copy(in.Payload[28:34], in.SrcMAC[:])
		}
		if i := bytes.Index(in.Payload, dhcptest.GUID[:]); i > 0 && name != "odd uuid" {
			in.Payload[i+15]++
		}
		if in.Dst.Port() == 4011 && name != "4011 routed" {
			in.Src = netip.AddrPortFrom(netip.MustParseAddr("198.51.100.77"), 2000)
			copy(in.Payload[12:16], make([]byte, 4))
		}
		if !r.ask(name+", other machine", in) {
			if name == "guid" {
				continue // its identity is its hardware address, which is the UUID; both are new
			}
			t.Errorf("%s: another machine of that kind is not answered in the kernel", name)
		}
	}
	if kernel < 35 {
		t.Errorf("only %d kinds of requests were answered in the kernel", kernel)
	}
}
