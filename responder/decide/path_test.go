package decide

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
	"github.com/xdpxe/xdpxe/responder/publish"
)

// kernel keeps templates as the real one does: those of other generations are not there.
type kernel struct {
	mu         sync.Mutex
	generation uint64
	templates  []*publish.Template
	published  chan *publish.Template
}

func (k *kernel) Void() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.generation++
	k.templates = nil
	return k.generation
}

func (k *kernel) Generation() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.generation
}

func (k *kernel) StandAside(bool) {}

func (k *kernel) Publish(t *publish.Template) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.Generation != k.generation {
		return publish.ErrVoid
	}
	k.templates = append(k.templates, t)
	k.published <- t
	return nil
}

func (k *kernel) Outcomes(*[publish.NumOutcomes]uint64) error { return nil }

// holds returns the template for a request, nil if there is none.
func (k *kernel) holds(in packet.Packet) *publish.Template {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range k.templates {
		if t.Answer(&in, &packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}) {
			return t
		}
	}
	return nil
}

var (
	vantage = dhcptest.Vantage{Server: netip.MustParseAddr("192.0.2.10"), ServerMAC: [6]byte{2, 0, 0, 0, 0, 0x10}, IfIndex: 3}
	host    = netip.MustParseAddr("192.0.2.100")
)

// site is a boot server on a wire of its own, with a kernel.
type site struct {
	*bed
	server *responder.Server
	wire   *conn.Fake
	kernel *kernel
	seen   chan responder.Event
}

// Observe makes a site its own server's observer.
func (s *site) Observe(e *responder.Event, _ *policy.Machine) { s.seen <- *e }

func newSite(t *testing.T, spec policy.Spec, change func(*Config)) *site {
	s := &site{bed: newBed(t), server: responder.New(zap.NewNop()), wire: conn.NewFake(64),
		kernel: &kernel{published: make(chan *publish.Template, 64)}, seen: make(chan responder.Event, 64)}
	s.hook = s.server.VoidTemplates
	clients := NewClients()
	cfg := Config{Policy: compile(t, spec), Catalogue: s.Catalogue, Clients: clients}
	if change != nil {
		change(&cfg)
	}
	s.server.SetObservers(s, NewRecorder(RecorderConfig{Catalogue: s.Catalogue, Clients: clients, Server: "boot1"}))
	s.server.SetAnswers(dhcp.New(New(cfg), dhcp.Options{}))
	s.server.SetLinks(responder.Links{{Port: vantage.IfIndex}: {
		Name: "eth0", IfIndex: vantage.IfIndex, MAC: vantage.ServerMAC, Addr: vantage.Server, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")},
	}})
	p := s.server.Publisher("eth0")
	p.Attach(s.kernel, publish.Limits{})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx, func(err error) { t.Error(err) }) })
	running.Go(func() {
		if err := s.server.Serve(ctx, s.wire, "eth0", "native", p.Offers()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return s
}

// asks puts a request to the daemon, and returns what became of it.
func (s *site) asks(in packet.Packet) string {
	s.t.Helper()
	s.wire.Inject(in)
	s.wire.Settle()
	e := <-s.seen
	if e.Reason != packet.Answered {
		return e.Reason.String()
	}
	var v dhcp.View
	if got := s.wire.Replies(1); len(got) != 1 || v.Parse(got[0].Payload) != packet.Answered {
		s.t.Fatal("no reply")
	}
	return string(v.File())
}

// published waits for a template.
func (s *site) awaitTemplate() *publish.Template {
	s.t.Helper()
	select {
	case t := <-s.kernel.published:
		return t
	case <-time.After(patience):
		s.t.Fatal("nothing is published")
		return nil
	}
}

// requests are what one machine sends in a boot that it is answered in.
func requests(mac []byte) map[string]packet.Packet {
	with := func(m *dhcptest.Message) *dhcptest.Message {
		copy(m.CHAddr[:], mac)
		return m
	}
	return map[string]packet.Packet{
		"DISCOVER": vantage.From67(with(dhcptest.Discover(7))),
		"4011":     vantage.From4011(with(dhcptest.BootServerRequest(7, host)), host),
	}
}

// TestKernelFollows: from the moment that a change is acknowledged on, the next
// request gets the new answer, from the kernel or from the daemon.
func TestKernelFollows(t *testing.T) {
	s := newSite(t, rule(policy.Rule{Boot: "deployed", Unknown: "hold", Else: "local"}), nil)
	me, other := mac(1), mac(2)
	target := deploy.Target{MAC: deploy.HardwareIdentity(me)}
	s.ok(s.Describe(t.Context(), deploy.HardwareIdentity(me), 0, new("web1"), nil))
	expect := func(step, want string, answers bool) {
		t.Helper()
		for name, in := range requests(me) {
			if s.kernel.holds(in) != nil {
				t.Errorf("%s: %s: the kernel answers by what held before", step, name)
			}
			if got := s.asks(in); got != want {
				t.Errorf("%s: %s: %s, want %s", step, name, got, want)
			}
			made := s.awaitTemplate()
			if !made.Exact || (made.Reply != nil) != answers || s.kernel.holds(in) != made {
				t.Errorf("%s: %s: template for one machine: %v, with a reply: %v", step, name, made.Exact, made.Reply != nil)
			}
			if theirs := requests(other)[name]; s.kernel.holds(theirs) != nil {
				t.Errorf("%s: %s: the template is for others too", step, name)
			}
		}
	}
	expect("nothing deployed", "local_boot", false)
	s.deploy(deploy.Deployment{ID: "once", Target: target, Profile: "winpe", Once: true})
	expect("deployed once", "winpe.efi", true)
	s.consume("once", me)
	expect("used up", "local_boot", false)
	s.deploy(deploy.Deployment{ID: "always", Target: target, Profile: "linux"})
	expect("deployed", "linux.efi", true)
	s.ok(s.Cancel(t.Context(), "always", 0, "ann", "", s.now))
	expect("cancelled", "local_boot", false)
	s.ok(s.Approve(t.Context(), deploy.HardwareIdentity(me), 0, "winpe", "ann", "", s.now))
	expect("approved", "winpe.efi", true)
	p := deploy.Pattern{Machine: deploy.HardwareIdentity(me)}
	s.ok(s.Ignore(t.Context(), p, "ann", "", s.now))
	expect("ignored", "machine_ignored", false)
	s.ok(s.Unignore(t.Context(), p))
	expect("not ignored any more", "winpe.efi", true)
}

// TestKernelIsLeftOut: no template is made of what holds for a moment only.
func TestKernelIsLeftOut(t *testing.T) {
	for name, tc := range map[string]struct {
		spec policy.Spec
		want []string // DISCOVER by DISCOVER
	}{
		"held":    {rule(policy.Rule{Boot: "deployed", Unknown: "hold"}), []string{"machine_held", "machine_held"}},
		"unknown": {rule(policy.Rule{Boot: "deployed"}), []string{"nothing_deployed"}},
		"delay":   {rule(policy.Rule{Boot: "linux", Delay: time.Minute}), []string{"delayed", "delayed"}},
		"secs":    {rule(policy.Rule{Boot: "linux", DelaySecs: 1}), []string{"delayed"}},
		"webhook": {policy.Spec{Rules: []policy.Rule{{Webhook: "cmdb"}}, Webhooks: []string{"cmdb"}}, []string{"webhook_failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, tc.spec, nil)
			for _, want := range tc.want {
				if got := s.asks(requests(mac(1))["DISCOVER"]); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
			// What is published is looked at in turn: this one comes behind.
			s.server.SetAnswers(dhcp.New(compile(t, policy.Spec{Default: "linux"}), dhcp.Options{}))
			if got := s.asks(requests(mac(2))["DISCOVER"]); got != "linux.efi" {
				t.Fatal(got)
			}
			if made := s.awaitTemplate(); made.Reply == nil || made.Exact {
				t.Errorf("a template of outcome %d", made.Outcome)
			}
		})
	}
}

// TestKeptFromClasses: where every machine may be a case of its own, so is each template.
func TestKeptFromClasses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		exact  bool
	}{
		"a plain rule": {nil, false},
		"strict files": {func(c *Config) { c.StrictFiles = true }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, policy.Spec{Default: "linux"}, tc.change)
			for _, in := range requests(mac(1)) {
				if got := s.asks(in); got != "linux.efi" {
					t.Fatal(got)
				}
				if made := s.awaitTemplate(); made.Exact != tc.exact {
					t.Errorf("for one machine: %v", made.Exact)
				}
			}
		})
	}
}

// TestReasons has a request for each reason, through the whole path.
func TestReasons(t *testing.T) {
	ipxe := vantage.From67(dhcptest.Discover(7).Add(77, []byte("iPXE")...).Add(175, 1, 2, 3))
	bios, uefi, http := vantage.From67(dhcptest.Discover(0)), vantage.From67(dhcptest.Discover(7)), vantage.From67(dhcptest.DiscoverHTTP(16))
	for _, tc := range []struct {
		rule policy.Rule
		in   packet.Packet
		want string
	}{
		{policy.Rule{Boot: "deployed"}, uefi, "nothing_deployed"},
		{policy.Rule{Boot: "deployed", Unknown: "local"}, uefi, "local_boot"},
		{policy.Rule{Boot: "deployed", Unknown: "local"}, bios, "local_boot"},
		{policy.Rule{Boot: "deployed", Unknown: "local"}, http, "local_boot"},
		{policy.Rule{Boot: "deployed", Unknown: "local"}, ipxe, ExitScript},
		{policy.Rule{Boot: "deployed", Unknown: "local", Local: local}, uefi, "exit.efi"},
		{policy.Rule{Boot: "deployed", Unknown: "local", Local: local}, bios, "exit.0"},
		{policy.Rule{Boot: "deployed", Unknown: "local", Local: local}, http, "local_boot"},
		{policy.Rule{Boot: "deployed", Unknown: "hold"}, uefi, "machine_held"},
		{policy.Rule{Boot: "linux", Unknown: "hold"}, http, "machine_held"},
		{policy.Rule{Boot: "linux", DelaySecs: 4}, uefi, "delayed"},
		{policy.Rule{Boot: "deployed", Unknown: "linux"}, http, "http://192.0.2.1/linux.efi"},
		{policy.Rule{Boot: "deployed", Unknown: "winpe"}, bios, "no_file_for_arch"},
	} {
		w := dhcp.New(New(Config{Policy: compile(t, rule(tc.rule))}), dhcp.Options{}).NewWorker()
		out := packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
		link := &dhcp.Link{Name: "eth0", IfIndex: vantage.IfIndex, Addr: vantage.Server}
		res := w.Handle(time.Now(), link, &tc.in, &out)
		got := res.Reason.String()
		if res.Reason == packet.Answered {
			var v dhcp.View
			if v.Parse(out.Payload) != packet.Answered {
				t.Fatal("no message")
			}
			got = string(v.File())
		}
		if got != tc.want {
			t.Errorf("%+v, %v: %s, want %s", tc.rule, w.Machine().Arches[0], got, tc.want)
		}
		if m := w.Machine(); !m.Discover || m.Now.IsZero() || m.Trial {
			t.Errorf("asked about %+v", m)
		}
	}
}

// TestRaces decides while what is deployed changes all the time.
func TestRaces(t *testing.T) {
	s := newSite(t, rule(policy.Rule{Boot: "deployed", Unknown: "hold"}), nil)
	d := New(Config{Policy: compile(t, rule(policy.Rule{Boot: "deployed", Unknown: "hold", Delay: time.Nanosecond})), Catalogue: s.Catalogue})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	allowed := []string{"~machine_held", "~nothing_deployed", "~delayed", "~winpe.efi"}
	for i := range byte(3) {
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				m := x64(mac(i), s.now.Add(time.Duration(n)*time.Second))
				if got := d.Decide(m); !slices.Contains(allowed, said(got)) {
					t.Errorf("%+v", got)
					return
				}
				d.Depends(m, everywhere)
				if n%64 == 0 {
					d.Explain(m)
				}
			}
		})
	}
	running.Go(func() {
		for ctx.Err() == nil {
			s.wire.Inject(requests(mac(1))["DISCOVER"])
			s.wire.Settle()
			<-s.seen
		}
	})
	defer running.Wait()
	defer stop()
	for i := range 26 {
		target := deploy.Target{MAC: deploy.HardwareIdentity(mac(byte(i % 3)))}
		id := "d" + string(rune('a'+i))
		s.deploy(deploy.Deployment{ID: id, Target: target, Profile: "winpe"})
		s.ok(s.Cancel(t.Context(), id, 0, "", "", s.now))
	}
}
