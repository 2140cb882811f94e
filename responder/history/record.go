package history

import (
	"net/netip"
	"strings"
	"time"
	"unsafe"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// record is an Entry as it is kept.
type record struct {
	first, last int64 // wall clock, nanoseconds
	count       uint64
	bytes, size int64
	fact
}

// fact is what makes an entry another one than the entry before.
type fact struct {
	kind   uint8
	stage  dhcp.Stage
	reason packet.Reason
	ipxe   bool
	notes  dhcp.Note
	arch   policy.Arch
	from   netip.Addr // as the client says
	relay  netip.Addr

	iface, tier               string
	rule, profile, deployment string
	file, detail              string
	outcome, server           string
}

// Kinds as they are kept.
const (
	request = iota
	transfer
	deployment
	note
)

var kinds = [...]Kind{request: Request, transfer: Transfer, deployment: Deployment, note: Note}

const recordSize = int64(unsafe.Sizeof(record{}))

// Bounds of texts that come from outside of the configuration, in bytes.
const (
	maxFile   = 256
	maxDetail = 512
)

// clip shortens a text, and lets go of what it is a part of.
func clip(text string, most int) string {
	if len(text) > most {
		return text[:most-3] + "..."
	}
	return text
}

// text is how many bytes a record keeps alive that nobody else does.
func (r *record) text() int64 {
	if r.kind == request {
		return 0
	}
	return int64(len(r.file) + len(r.detail) + len(r.outcome))
}

// ofRequest is the fact that an event is.
func ofRequest(e *responder.Event, m *policy.Machine) fact {
	f := fact{
		kind: request, stage: e.Stage, reason: e.Reason, notes: e.Notes, arch: e.Arch, from: e.Address, relay: e.Relay,
		iface: e.Iface, tier: e.Tier, rule: e.Rule, profile: e.Profile, deployment: e.Deployment, file: e.File, detail: e.Detail,
	}
	if !f.from.IsValid() {
		f.from = e.Src.Addr()
	}
	f.ipxe = m != nil && m.IPXE || e.Reason == packet.Answered && e.Style == policy.StyleIPXE
	return f
}

// classOf is what one request tells of how well a machine is known. One that the
// rules would answer, by another server or later, counts as answered; and so does
// one that somebody has named, of which the rules say that nothing is deployed to it.
func classOf(e *responder.Event) class {
	switch e.Reason {
	case packet.Answered, packet.OtherOwner, packet.Delayed:
		return answered
	}
	if e.Track && e.Detail != unknown && e.Detail != held && e.Detail != notLoaded {
		return answered
	}
	return stranger
}

// What rules say of a machine that nobody has named.
var unknown, held, notLoaded = deploy.Unknown.String(), deploy.Held.String(), deploy.NotLoaded.String()

// entry is the record as it is shown.
func (r *record) entry() Entry {
	e := Entry{
		Time: time.Unix(0, r.first), Last: time.Unix(0, r.last), Count: r.count, Kind: kinds[r.kind],
		Iface: r.iface, Tier: r.tier, IPXE: r.ipxe, From: r.from, Relay: r.relay,
		Detail: r.detail, Rule: r.rule, Profile: r.profile, Deployment: r.deployment,
		File: r.file, Bytes: r.bytes, Size: r.size, Outcome: r.outcome, Server: r.server,
	}
	if r.kind == request {
		e.Stage, e.Reason = r.stage.String(), r.reason.String()
		if notes := r.notes.String(); notes != "" {
			e.Detail = strings.TrimPrefix(e.Detail+","+notes, ",")
		}
		if r.profile != "" {
			e.Arch = r.arch.String()
		}
	}
	return e
}
