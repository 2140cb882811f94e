package responder

import (
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/publish"
)

// TierKernel labels what the XDP program answered by itself.
const TierKernel = "kernel"

// kernel is tier 0 of one interface, as far as answers and accounts go.
type kernel struct {
	*publish.Publisher
	filter logFilter // of who reads the kernel's events
	event  Event     // the last one, in a place that observers can be shown
}

// Publisher returns the interface's publisher of templates. It outlives
// datapaths, so that a re-opened one goes on counting.
func (s *Server) Publisher(iface string) *publish.Publisher {
	s.taps.mu.Lock() // before s.mu, as in standAside
	defer s.taps.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kernels[iface]
	if k == nil {
		k = &kernel{Publisher: publish.New()}
		k.Hold(s.taps.shows(iface))
		s.kernels[iface] = k
	}
	return k.Publisher
}

// Answering returns what answers a request with such addressing now.
func (s *Server) Answering(m *packet.Meta) (*dhcp.Responder, *dhcp.Link) {
	answers, links := s.answers.Load(), s.links.Load()
	if answers == nil || links == nil {
		return nil, nil
	}
	return answers, links.find(m)
}

// VoidTemplates lets no earlier answer of the kernel's hold: to be called when
// something that decisions rest on has changed and is in force. Once it returns,
// requests are decided anew. It waits for no store and no network.
func (s *Server) VoidTemplates() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kernels {
		k.Void()
	}
}

// standAside keeps the kernel from answering where somebody captures; the caller holds s.taps.mu.
func (s *Server) standAside() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for iface, k := range s.kernels {
		k.Hold(s.taps.shows(iface))
	}
}

// appendCounts adds what was answered and ignored in the kernel to list.
func (k *kernel) appendCounts(list []Count, iface string) []Count {
	sums, _ := k.Outcomes() // an error leaves out what cannot be read; there is no better answer
	for outcome, n := range sums {
		if n != 0 {
			stage, reason := publish.Ended(outcome)
			list = append(list, Count{iface, TierKernel, stage, reason, n})
		}
	}
	return list
}

// KernelEvent is what the kernel tells of one request that a template decided on.
type KernelEvent struct {
	Time    time.Time
	Tag     uint32 // of the template
	XID     uint32
	MAC     [16]byte
	MACLen  uint8
	HasUUID bool
	UUID    [16]byte
	Src     netip.AddrPort
	Relay   netip.Addr // invalid without one
}

// Told records what the kernel tells of requests on an interface, as if a
// worker had answered them. It has one caller at a time for each interface.
func (s *Server) Told(iface string, e *KernelEvent) {
	s.mu.Lock()
	k := s.kernels[iface]
	s.mu.Unlock()
	if k == nil {
		return
	}
	macLen := min(e.MACLen, uint8(len(e.MAC)))
	f, ok := k.Facts(e.Tag)
	if !ok {
		s.journal.dropped.Add(1)
		return
	}
	d := &f.Decision
	k.event = Event{
		Time: e.Time, Iface: iface, Tier: TierKernel, Stage: f.Stage, Reason: f.Reason,
		MAC: e.MAC, MACLen: macLen, UUID: e.UUID, HasUUID: e.HasUUID, XID: e.XID,
		Src: e.Src, Relay: e.Relay, Arch: d.Arch, Rule: d.Rule, Profile: d.Profile, File: d.File,
		Style: d.Style, Deployment: d.Deployment, Detail: d.Detail, Track: d.Track,
	}
	if f.Stage == dhcp.StageBootServer {
		k.event.Address = e.Src.Addr() // which ciaddr is too, if it is set
	}
	s.observe(&k.event, nil)
	if !k.filter.pass(e.Time, e.MAC[:macLen], f.Stage, f.Reason, 0) {
		return
	}
	if !k.filter.spend(e.Time) {
		s.journal.dropped.Add(1)
		return
	}
	s.journal.offer(k.event)
}
