package storm

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"

	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// tape is a port that keeps what is sent. room is how many frames it takes;
// with scrap it keeps nothing, and allocates nothing.
type tape struct {
	sent  [][]byte
	room  int
	scrap []byte
	count int
}

func (p *tape) Alloc(dst []port.Frame) int {
	if p.room == 0 {
		return 0
	}
	for i := range dst {
		if dst[i].Data = p.scrap; p.scrap == nil {
			dst[i].Data = make([]byte, 0, port.FrameRoom)
		}
	}
	return len(dst)
}

func (p *tape) Send(f []port.Frame) (int, error) {
	p.count += len(f)
	for i := range f {
		if p.scrap == nil {
			p.sent = append(p.sent, bytes.Clone(f[i].Data))
			p.room--
		}
	}
	return len(f), nil
}

func (p *tape) Flush() error                                  { return nil }
func (p *tape) Recv([]port.Frame, time.Duration) (int, error) { return 0, nil }
func (p *tape) Release([]port.Frame)                          {}
func (p *tape) MAC() net.HardwareAddr                         { return nil }
func (p *tape) Stats() port.Stats                             { return port.Stats{} }
func (p *tape) Close() error                                  { return nil }

// take returns what was sent since the last time.
func (p *tape) take() [][]byte {
	sent := p.sent
	p.sent = nil
	return sent
}

// leasing is a storm of machines that have an address and want their NBP.
func leasing(t *testing.T, n int) (*storm, *tape) {
	t.Helper()
	p := &tape{room: 1000}
	profiles := make([]*Profile, n)
	for i := range profiles {
		profiles[i] = builtin(t, "edk2")
	}
	s := newStorm(p, Options{Profiles: profiles, First: 1, Deadline: time.Hour})
	s.expire(0)
	p.take() // the DISCOVERs
	addr := leased
	for _, m := range s.slots {
		s.step.Begin(0)
		m.Addr, m.Net, m.Router = addr, netip.MustParsePrefix("192.0.2.0/24"), netip.MustParseAddr("192.0.2.1")
		m.startDownload(&s.step, bootFile{bootServer, "nbp"})
		s.after(m, 0)
		addr = addr.Next()
	}
	return s, p
}

// One machine asks for the server's hardware address, for all; what they have to
// say follows the answer, each from its own addresses.
func TestResolveOnceForAll(t *testing.T) {
	s, p := leasing(t, 3)
	sent := p.take()
	if len(sent) != 1 {
		t.Fatalf("%d frames, want one ARP request", len(sent))
	}
	a, ok := parseARP(sent[0])
	if !ok || a.op != arpRequest || a.targetIP != bootServer || a.senderIP != leased || a.senderMAC != s.slots[0].MAC {
		t.Errorf("%+v", a)
	}
	s.frame(time.Millisecond, arpFrame(t, layers.ARPReply, serverMAC, bootServer, leased))
	sent = p.take()
	if len(sent) != 3 {
		t.Fatalf("%d frames after the answer, want 3 requests", len(sent))
	}
	for i, frame := range sent {
		var d packet.Packet
		if packet.Parse(frame, &d) != packet.Answered || d.DstMAC != [6]byte(serverMAC) || d.SrcMAC != s.slots[i].MAC || d.Src.Addr() != s.slots[i].Addr || d.Dst != netip.AddrPortFrom(bootServer, 69) {
			t.Errorf("frame %d: %+v", i, d)
		}
	}
	// A server that moved is believed.
	s.frame(2*time.Millisecond, arpFrame(t, layers.ARPRequest, someMAC, bootServer, leased))
	p.take()
	s.expire(4 * time.Second)
	for _, frame := range p.take() {
		if [6]byte(frame) != [6]byte(someMAC) {
			t.Errorf("to %x", frame[:6])
		}
	}
}

func TestRouterIsTheNextHop(t *testing.T) {
	s, p := leasing(t, 1)
	p.take()
	m := s.slots[0]
	s.step.Begin(0)
	m.startDownload(&s.step, bootFile{netip.MustParseAddr("203.0.113.10"), "nbp"})
	s.after(m, 0)
	if a, ok := parseARP(p.take()[0]); !ok || a.targetIP != m.Router {
		t.Errorf("%+v", a)
	}
}

// A neighbour that does not answer is asked five times, and named in the result.
func TestSilentNeighbour(t *testing.T) {
	s, p := leasing(t, 2)
	asked := len(p.take())
	for now := time.Second; now < 3900*time.Millisecond; now += 100 * time.Millisecond {
		s.expire(now)
	}
	asked += len(p.take())
	s.expire(4900 * time.Millisecond) // the machines send again at 4 s
	s.expire(6 * time.Second)
	if asked != 4 || s.hops.silent[bootServer] != 4 {
		t.Errorf("asked %d times in 4 s, %d datagrams not sent", asked, s.hops.silent[bootServer])
	}
	s.result.Silent = s.hops.silent
	if notes := s.result.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "192.0.2.10 did not answer ARP: 4 datagrams") {
		t.Errorf("%q", notes)
	}
}

func TestAnswersARPForItsMachines(t *testing.T) {
	s, p := leasing(t, 2)
	p.take()
	for _, frame := range [][]byte{
		arpFrame(t, layers.ARPRequest, serverMAC, dhcpServer, netip.MustParseAddr("192.0.2.200")), // nobody's
		arpFrame(t, layers.ARPReply, serverMAC, dhcpServer, leased),
		arpFrame(t, layers.ARPRequest, serverMAC, leased, leased), // gratuitous
	} {
		s.frame(0, frame)
	}
	if sent := p.take(); len(sent) != 0 {
		t.Errorf("answered %x", sent)
	}
	s.frame(0, arpFrame(t, layers.ARPRequest, serverMAC, dhcpServer, leased.Next()))
	sent := p.take()
	if len(sent) != 1 {
		t.Fatalf("%d answers", len(sent))
	}
	a, ok := parseARP(sent[0])
	if !ok || a.op != arpReply || a.senderIP != leased.Next() || a.senderMAC != s.slots[1].MAC || a.targetMAC != [6]byte(serverMAC) || [6]byte(sent[0]) != [6]byte(serverMAC) {
		t.Errorf("%+v", a)
	}
}

func TestICMPEndsTheMachineItIsAbout(t *testing.T) {
	s, _ := leasing(t, 2)
	m := s.slots[1]
	s.frame(0, icmpFrame(t, layers.ICMPv4CodePort, netip.AddrPortFrom(m.Addr, m.download.port)))
	if s.slots[0].Done() || m.Failure != "NBP: ICMP unreachable" || s.progress.Lost != 1 {
		t.Errorf("%q and %q, %d failed", s.slots[0].Failure, m.Failure, s.progress.Lost)
	}
	s.frame(0, icmpFrame(t, layers.ICMPv4CodePort, netip.AddrPortFrom(m.Addr, m.download.port))) // once more
	if s.progress.Lost != 1 {
		t.Error("counted twice")
	}
}

// What goes wrong at the generator is on its account.
func TestOwnLosses(t *testing.T) {
	s, p := leasing(t, 1)
	p.room = 0
	s.frame(0, arpFrame(t, layers.ARPRequest, serverMAC, bootServer, leased)) // the answer, and the request that waits
	s.frame(0, make([]byte, 9000))
	if s.result.SendErrors != 2 || s.result.Oversize != 1 {
		t.Errorf("%d not sent, %d oversize", s.result.SendErrors, s.result.Oversize)
	}
	if l := s.result.limit(nil); l.By != "generator" {
		t.Errorf("%+v", l)
	}
}

func TestSameAddressTwice(t *testing.T) {
	s, _ := leasing(t, 2)
	s.slots[1].Addr = s.slots[0].Addr
	s.after(s.slots[1], 0)
	if s.result.SameAddress != 1 {
		t.Errorf("%d", s.result.SameAddress)
	}
}

func TestSumColumn(t *testing.T) {
	const text = "entries allocs table_fulls\n00000001 00000002 000000ff\n00000001 00000002 00000001\n"
	if n := sumColumn(text, "table_fulls"); n != 256 {
		t.Errorf("%d", n)
	}
	if n := sumColumn(text, "hits"); n != 0 {
		t.Errorf("%d", n)
	}
}

// In the loop nothing allocates for each datagram of a file.
func TestNoAllocationPerBlock(t *testing.T) {
	s, p := leasing(t, 1)
	s.frame(0, arpFrame(t, layers.ARPReply, serverMAC, bootServer, leased))
	m := s.slots[0]
	datagram := func(payload []byte) []byte {
		frame := make([]byte, 1600)
		meta := packet.Meta{SrcMAC: [6]byte(serverMAC), DstMAC: m.MAC, Src: netip.AddrPortFrom(bootServer, 1234), Dst: netip.AddrPortFrom(m.Addr, m.download.port)}
		copy(frame[packet.HeaderLen(&meta):], payload)
		return frame[:packet.Build(frame, &meta, len(payload))]
	}
	oack := []byte("\x00\x06tsize\x00999999999\x00blksize\x001468\x00windowsize\x004\x00")
	s.frame(0, datagram(oack)) // of the probe
	s.frame(0, datagram(oack))
	p.take()
	p.scrap = make([]byte, 0, port.FrameRoom)
	p.count = 0
	const runs, window = 50, 4
	frames := make([][]byte, (runs+1)*window)
	for i := range frames {
		frames[i] = datagram(append([]byte{0, 3, byte((i + 1) >> 8), byte(i + 1)}, make([]byte, 1468)...))
	}
	at := 0
	n := testing.AllocsPerRun(runs, func() {
		for range window {
			s.frame(0, frames[at])
			at++
		}
	})
	if n != 0 || m.Bytes != uint64(len(frames)*1468) || p.count != runs+1 {
		t.Errorf("%g allocations for a window, %d bytes, %d acknowledgements", n, m.Bytes, p.count)
	}
}

func TestPromiscuous(t *testing.T) {
	labtest.Need(t, false)
	ns, err := labtest.New(t).Namespace("machines")
	if err != nil {
		t.Fatal(err)
	}
	err = ns.Do(func() error {
		count := func() int {
			l, err := netlink.LinkByName("lo")
			if err != nil {
				t.Error(err)
				return -1
			}
			return l.Attrs().Promisc
		}
		end, err := Promiscuous("lo")
		if err != nil {
			return err
		}
		if n := count(); n != 1 {
			t.Errorf("promiscuity %d while it should be", n)
		}
		err = end()
		if n := count(); n != 0 {
			t.Errorf("promiscuity %d at the end", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := Promiscuous("no-such-interface"); err == nil || !strings.Contains(err.Error(), "no-such-interface") {
		t.Errorf("%v", err)
	}
}
