package pcapload

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/pcapfile"
)

// Target says against what a capture is replayed.
type Target struct {
	Server   netip.Addr   // the server under test
	Captured netip.Addr   // the server in the capture that it stands for; not valid: the one boot server there
	Source   netip.Addr   // the generator's address, for clients that have one; not valid: there is none
	Relays   []netip.Addr // addresses of the generator that relayed requests may come from
	Untag    bool         // send without the capture's VLAN tags
}

// Plan is what is to be sent and what is to come back.
type Plan struct {
	Target
	Requests []*Request     // as they were sent, oldest first
	LeftOut  map[string]int // requests that are not sent, by reason

	machines, uuids int
	exchanges       [][]*Request // by transaction id and client
}

// Request is one request of the capture, ready to be sent but for the identity.
type Request struct {
	Frame int           // its number in the capture, from 1
	At    time.Duration // since the first request
	Type  dhcp.MessageType
	Meta  packet.Meta // without MAC addresses
	Want  []Shape     // what the captured server answered

	index    int // in Plan.Requests
	machine  int
	uuid     int
	exchange int
	payload  []byte
	patches  []patch
	hasUUID  bool
	relay    netip.Addr // 0.0.0.0 without one
}

// errManyServers asks the user to choose.
var errManyServers = errors.New("more than one boot server answers in the capture")

// message is one DHCP message of a capture.
type message struct {
	frame  int
	at     time.Time
	packet packet.Packet
	facts  dhcp.ReplyFacts // of replies
}

// NewPlan reads the frames of a capture.
func NewPlan(frames []pcapfile.Frame, t Target) (*Plan, error) {
	p := &Plan{Target: t, LeftOut: map[string]int{}}
	requests, replies := p.sort(frames)
	if len(requests) == 0 {
		return nil, errors.New("no DHCP request to port 67 or 4011 in the capture")
	}
	if err := p.findServer(requests, replies); err != nil {
		return nil, err
	}
	p.match(requests, replies)
	if len(p.Requests) == 0 {
		return nil, fmt.Errorf("nothing of the capture can be sent: %s", strings.Join(p.Reasons(), "; "))
	}
	return p, nil
}

// Reasons says what was left out, for a reader.
func (p *Plan) Reasons() (all []string) {
	for why, n := range p.LeftOut {
		all = append(all, fmt.Sprintf("%d %s", n, why))
	}
	slices.Sort(all)
	return all
}

// Machines is how many clients the capture shows.
func (p *Plan) Machines() int { return p.machines }

// Silent is how many requests the captured server did not answer.
func (p *Plan) Silent() (n int) {
	for _, r := range p.Requests {
		if len(r.Want) == 0 {
			n++
		}
	}
	return n
}

// sort picks the DHCP messages.
func (p *Plan) sort(frames []pcapfile.Frame) (requests, replies []*message) {
	for i, f := range frames {
		m := &message{frame: i + 1, at: f.Timestamp}
		cut := f.CaptureLength < f.Length && len(f.Data) > 0
		data := f.Data
		if cut { // headers may be whole: they tell what is missing
			data = append(slices.Clone(data), make([]byte, min(f.Length-f.CaptureLength, 1<<16))...)
		}
		if packet.Parse(data, &m.packet) != packet.Answered {
			continue
		}
		port := m.packet.Dst.Port()
		switch {
		case port == portTFTP:
			p.LeftOut["TFTP requests: xdpxe-bench tftp sends those"]++
			continue
		case m.packet.Src.Port() == packet.PortDHCPServer || m.packet.Src.Port() == packet.PortBINL:
			var ok bool
			if m.facts, ok = dhcp.InspectReply(m.packet.Payload); ok && !cut {
				replies = append(replies, m)
				continue
			}
		}
		switch {
		case port != packet.PortDHCPServer && port != packet.PortBINL:
		case cut:
			p.LeftOut["cut short by the capture (tcpdump -s 0 takes all)"]++
		default:
			requests = append(requests, m)
		}
	}
	return requests, replies
}

// findServer finds the server that is replaced: the one that answered as boot
// servers do, or else the one that was asked.
func (p *Plan) findServer(requests, replies []*message) error {
	if p.Captured.IsValid() {
		return nil
	}
	found := map[netip.Addr]bool{}
	for _, m := range replies {
		offers := m.facts.YourIP.IsUnspecified() && (m.facts.ClaimsPXE || m.facts.ClaimsHTTP)
		if offers || m.packet.Src.Port() == packet.PortBINL {
			found[m.server()] = true
		}
	}
	if len(found) == 0 {
		for _, m := range requests {
			if port := m.packet.Dst.Port(); port == packet.PortBINL && !m.isBroadcast() {
				found[m.packet.Dst.Addr()] = true
			}
		}
	}
	var all []string
	for addr := range found {
		p.Captured = addr
		all = append(all, addr.String())
	}
	if len(all) > 1 {
		slices.Sort(all)
		return fmt.Errorf("%w: %s", errManyServers, strings.Join(all, ", "))
	}
	return nil
}

// server is who sent a reply, behind whatever relay.
func (m *message) server() netip.Addr {
	if s := m.facts.Server; s.IsValid() && !s.IsUnspecified() {
		return s
	}
	return m.packet.Src.Addr()
}

func (m *message) isBroadcast() bool {
	return m.packet.DstMAC == broadcastMAC || m.packet.Dst.Addr() == broadcastAddr
}

var (
	broadcastMAC  = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	broadcastAddr = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// prepare sets what all copies of a request have in common; why says that it
// cannot be sent.
func (p *Plan) prepare(r *Request, m *message, v *dhcp.View) (why string) {
	src, dst := m.packet.Src, m.packet.Dst
	relay := v.Relay()
	switch {
	case !relay.IsUnspecified() && !slices.Contains(p.Relays, relay):
		return fmt.Sprintf("relayed by %s, which is no address of the generator (--relay)", relay)
	case m.isBroadcast():
		dst = netip.AddrPortFrom(broadcastAddr, dst.Port())
	case p.Captured.IsValid() && dst.Addr() != p.Captured:
		return "sent to another server"
	default:
		dst = netip.AddrPortFrom(p.Server, dst.Port())
	}
	payload := slices.Clone(m.packet.Payload)
	client := src.Addr()
	switch {
	case !relay.IsUnspecified(): // the answer goes to the relay's address, whichever it sent from
		src = netip.AddrPortFrom(relay, src.Port())
	case client.IsUnspecified():
	case !p.Source.IsValid():
		return "from clients with an address: the generator's interface has none to send from"
	default:
		src = netip.AddrPortFrom(p.Source, src.Port())
		if v.ClientIP() == client {
			copy(payload[offCIAddr:], p.Source.AsSlice())
		}
	}
	r.Meta = packet.Meta{Src: src, Dst: dst}
	if !p.Untag {
		r.Meta.VLANs, r.Meta.NumVLANs = m.packet.VLANs, m.packet.NumVLANs
	}
	if packet.HeaderLen(&r.Meta)+len(payload) > longestFrame {
		return fmt.Sprintf("longer than %d bytes", longestFrame)
	}
	r.payload, r.relay = payload, relay
	r.hasUUID = len(v.Option(optUUID)) == 1+uuidLen
	r.rewrite(p.Captured, p.Server)
	return ""
}
