package main

import (
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// verdict is what becomes of one DHCP message, for people and for JSON.
type verdict struct {
	Frame       int       `json:"frame"` // counts from 1
	Time        time.Time `json:"time,omitzero"`
	Kind        string    `json:"kind"` // request, reply
	Type        string    `json:"type,omitempty"`
	Stage       string    `json:"stage,omitempty"`
	Client      string    `json:"client,omitempty"`
	UUID        string    `json:"uuid,omitempty"`
	XID         string    `json:"xid,omitempty"`
	Source      string    `json:"source"`
	Destination string    `json:"destination"`
	VLANs       []uint16  `json:"vlans,omitempty"`
	Relay       string    `json:"relay,omitempty"`
	Arch        string    `json:"arch,omitempty"` // as option 93 lists them
	VendorClass string    `json:"vendor_class,omitempty"`
	UserClass   string    `json:"user_class,omitempty"`

	Reason       string   `json:"reason,omitempty"`
	Explanation  string   `json:"explanation,omitempty"`
	LeftToKernel bool     `json:"left_to_kernel,omitempty"` // XDP would not even hand it over
	Rule         string   `json:"rule,omitempty"`
	Profile      string   `json:"profile,omitempty"`
	File         string   `json:"file,omitempty"`
	Steps        []step   `json:"steps,omitempty"`
	Notes        []string `json:"notes,omitempty"`
	Answer       *answer  `json:"answer,omitempty"`
}

// step is one line of the policy's way to its decision.
type step struct {
	Subject string `json:"subject"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"`
}

// answer is a reply as it would leave.
type answer struct {
	Type           string   `json:"type"`
	Source         string   `json:"source"`
	Destination    string   `json:"destination"`
	DestinationMAC string   `json:"destination_mac"`
	NextServer     string   `json:"next_server"`
	File           string   `json:"file"` // header field
	Broadcast      bool     `json:"broadcast_flag"`
	Options        []option `json:"options"`
	payload        []byte
}

// replayer answers frames by the daemon's own code, and keeps what the policy
// was asked.
type replayer struct {
	asked  *asked
	worker *dhcp.Worker
	server *vantage
	direct map[string]bool // clients whose DISCOVER came without a relay
	view   dhcp.View
	room   [packet.MaxHeader + conn.MaxPayload]byte
}

// explaining is a policy that can say why.
type explaining interface {
	dhcp.Policy
	Explain(*policy.Machine) []policy.Step
}

// asked is a policy that explains each decision while the machine is borrowed.
// Nothing comes of what it is asked.
type asked struct {
	explaining
	steps    []policy.Step
	decision policy.Decision
}

func (a *asked) Decide(m *policy.Machine) policy.Decision {
	trial := *m
	trial.Trial = true
	a.steps, a.decision = a.Explain(&trial), a.explaining.Decide(&trial)
	return a.decision
}

func newReplayer(cfg *config.Config, server *vantage) *replayer {
	return replayerOf(cfg.Policy, server)
}

func replayerOf(p explaining, server *vantage) *replayer {
	a := &asked{explaining: p}
	return &replayer{asked: a, worker: dhcp.New(a, dhcp.Options{}).NewWorker(), server: server, direct: make(map[string]bool)}
}

// handle returns the verdict on an Ethernet frame; nil if it is nobody's DHCP.
func (r *replayer) handle(now time.Time, frame []byte) *verdict {
	var in packet.Packet
	if packet.Parse(frame, &in) != packet.Answered {
		return r.unreadable(now, frame)
	}
	switch in.Dst.Port() {
	case packet.PortDHCPServer, packet.PortBINL:
	case packet.PortDHCPClient:
		return r.reply(now, &in)
	default:
		// An answer on 4011 goes to any port of the client's.
		if p := in.Src.Port(); p == packet.PortDHCPServer || p == packet.PortBINL {
			return r.reply(now, &in)
		}
		return nil
	}
	if v := r.reply(now, &in); v != nil {
		return v
	}
	return r.request(now, frame, &in)
}

// unreadable gives frames to our ports that are no whole datagram a verdict too.
func (r *replayer) unreadable(now time.Time, frame []byte) *verdict {
	src, dst, ours := looseUDP(frame)
	if !ours {
		return nil
	}
	return &verdict{
		Time: now, Kind: "request", Source: src, Destination: dst,
		Reason: packet.BadFrame.String(), Explanation: reasonTexts[packet.BadFrame], LeftToKernel: true,
	}
}

// request asks the responder.
func (r *replayer) request(now time.Time, frame []byte, in *packet.Packet) *verdict {
	r.asked.steps, r.asked.decision = nil, policy.Decision{}
	link := r.server.link(in)
	out := packet.Packet{Payload: r.room[packet.MaxHeader:packet.MaxHeader]}
	res := r.worker.Handle(now, link, in, &out)

	v := &verdict{
		Time: now, Kind: "request", Stage: res.Stage.String(),
		Source: in.Src.String(), Destination: in.Dst.String(), VLANs: vids(&in.Meta),
		Reason: res.Reason.String(), Explanation: reasonTexts[res.Reason], LeftToKernel: leftToKernel(res.Reason),
		Rule: res.Decision.Rule, Profile: res.Decision.Profile, File: res.Decision.File,
	}
	r.identify(v, in.Payload)
	for _, s := range r.asked.steps {
		v.Steps = append(v.Steps, step{s.Subject, s.OK, s.Detail})
	}
	if res.Stage == dhcp.StageDiscover && !res.Relay.IsValid() {
		r.direct[v.Client] = true
	}
	if r.direct[v.Client] { // no relay, nothing that it could have said
		res.Notes &^= dhcp.NoteRelayFactsMissing
	}
	v.Notes = noteTexts(&res)
	if note := r.server.note(in); note != "" && res.Reason == packet.Answered {
		v.Notes = append(v.Notes, note)
	}
	if res.Reason == packet.Answered {
		// What is left on 4011, the socket there has (listenUDP).
		if why := leftByXDP(frame, &r.view, r.asked.VendorClass); why != "" && res.Stage == dhcp.StageDiscover {
			v.LeftToKernel = true
			v.Notes = append(v.Notes, "the XDP program passes it to the kernel, so that only the socket datapath answers it: "+why)
		}
		v.Answer = r.answer(&out)
	}
	return v
}

// identify fills in who sent a message and as what, as far as it can be read.
func (r *replayer) identify(v *verdict, payload []byte) {
	m := &r.view
	if m.Parse(payload) != packet.Answered {
		return
	}
	if t, ok := m.Type(); ok {
		v.Type = t.String()
	}
	v.Client = hardwareText(m.HardwareAddr())
	v.XID = xidText(m.XID())
	if u := m.UUID(); u != nil {
		v.UUID = uuidText(u)
	}
	if a := m.Relay(); !a.IsUnspecified() {
		v.Relay = a.String()
	}
	var arches [policy.MaxArches]policy.Arch
	var names []string
	for _, a := range arches[:m.Arches(&arches)] {
		names = append(names, a.String())
	}
	v.Arch = strings.Join(names, ", ")
	v.VendorClass = string(m.Option(60))
	if data := m.Option(77); data != nil {
		v.UserClass = classText(data)
	}
}

// answer describes a reply that the responder built.
func (r *replayer) answer(out *packet.Packet) *answer {
	m := &r.view
	if m.Parse(out.Payload) != packet.Answered {
		return nil
	}
	kind, _ := m.Type()
	return &answer{
		Type: kind.String(), Source: out.Src.String(), Destination: out.Dst.String(),
		DestinationMAC: net.HardwareAddr(out.DstMAC[:]).String(),
		NextServer:     m.NextServer().String(), File: headerFile(out.Payload), Broadcast: m.Flags()&0x8000 != 0,
		Options: options(m), payload: append([]byte(nil), out.Payload...),
	}
}

// reply describes a server's message that the capture shows; nil if it is none.
func (r *replayer) reply(now time.Time, in *packet.Packet) *verdict {
	f, ok := dhcp.InspectReply(in.Payload)
	if !ok {
		return nil
	}
	v := &verdict{Time: now, Kind: "reply", Source: in.Src.String(), Destination: in.Dst.String(), VLANs: vids(&in.Meta), File: f.File}
	r.identify(v, in.Payload)
	if !f.YourIP.IsUnspecified() { // a lease, not another boot server's offer
		if f.ClaimsPXE {
			v.Notes = append(v.Notes, responder.ClaimsPXE.Advice())
		}
		if f.File != "" {
			v.Notes = append(v.Notes, responder.FillsFile.Advice())
		}
	}
	return v
}

// noteTexts are the observations that may explain a machine that does not boot.
func noteTexts(res *dhcp.Result) []string {
	var notes []string
	for _, n := range []struct {
		note dhcp.Note
		text string
	}{
		{dhcp.NoteNoEnd, "the options are not ended by END (255)"},
		{dhcp.NoteBadRelayInfo, "option 82 is malformed: it is sent back as it is, and nothing in it is believed"},
		{dhcp.NoteServerIDOverride, "the relay wants to stand in for the server (82.11); xdpxe keeps its own address in option 54"},
		{dhcp.NoteRelayPort, "the relay wants the answer on its own source port (82.19)"},
		{dhcp.NoteRelayInfoDropped, "option 82 does not fit the answer and is left out"},
		{dhcp.NoteOtherServer4011, "asked on 4011, but for another server (option 54): its DHCP server claims PXEClient, or two boot servers share an address"},
		{dhcp.NoteRelayFactsRecall, "what the relay said of this client's DISCOVER was used"},
		{dhcp.NoteRelayFactsMissing, "a rule asks for what the relay says, and nothing is remembered of this client's DISCOVER"},
	} {
		if res.Notes&n.note != 0 {
			notes = append(notes, n.text)
		}
	}
	return notes
}

func vids(m *packet.Meta) (ids []uint16) {
	for _, v := range m.VLANs[:m.NumVLANs] {
		ids = append(ids, v.VID())
	}
	return ids
}

// headerFile is the header's file field, which is what shim reads (RFC 2131 §2).
func headerFile(payload []byte) string {
	const off, end = 108, 236
	name, _, _ := strings.Cut(string(payload[off:end]), "\x00")
	return name
}

// looseUDP finds addresses and ports of a frame that packet.Parse refused;
// ours is false if it is no IPv4/UDP to one of our ports as far as can be seen.
func looseUDP(frame []byte) (src, dst string, ours bool) {
	at := 12
	for range 3 {
		if len(frame) < at+2 {
			return "", "", false
		}
		switch uint16(frame[at])<<8 | uint16(frame[at+1]) {
		case 0x8100, 0x88a8:
			at += 4
			continue
		case 0x0800:
			return looseIPv4(frame[at+2:])
		}
		return "", "", false
	}
	return "", "", false
}

func looseIPv4(ip []byte) (src, dst string, ours bool) {
	if len(ip) < 20 || ip[0]>>4 != 4 || ip[9] != 17 {
		return "", "", false
	}
	head := int(ip[0]&15) * 4
	fragment := (uint16(ip[6])<<8|uint16(ip[7]))&0x1fff != 0
	if fragment || head < 20 || len(ip) < head+4 {
		return "", "", false
	}
	port := func(at int) uint16 { return uint16(ip[head+at])<<8 | uint16(ip[head+at+1]) }
	s := netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:])), port(0))
	d := netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[16:])), port(2))
	return s.String(), d.String(), d.Port() == packet.PortDHCPServer || d.Port() == packet.PortBINL
}
