package responder

import (
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// Event is what became of one request. It holds values and strings of
// immutable snapshots only, so that workers make it without allocating.
type Event struct {
	Time    time.Time
	Iface   string
	Tier    string
	Stage   dhcp.Stage
	Reason  packet.Reason
	MAC     [16]byte
	MACLen  uint8
	UUID    [16]byte
	HasUUID bool
	XID     uint32
	Src     netip.AddrPort
	Relay   netip.Addr
	Arch    policy.Arch
	Rule    string
	Profile string
	File    string
	Notes   dhcp.Note
	Other   netip.Addr // the other server that a note is about

	Style      policy.Style // of an answer
	Deployment string       // the id of the one that Profile is of
	Detail     string       // a word that says more than Reason
	Track      bool         // see policy.Decision
	Address    netip.Addr   // the client's, as it says: see dhcp.Result
}

// event makes the Event of one handled request.
func event(now time.Time, iface, tier string, in *packet.Packet, res *dhcp.Result) Event {
	return Event{
		Time: now, Iface: iface, Tier: tier, Stage: res.Stage, Reason: res.Reason,
		MAC: res.MAC, MACLen: res.MACLen, UUID: res.UUID, HasUUID: res.HasUUID, XID: res.XID,
		Src: in.Src, Relay: res.Relay, Arch: res.Decision.Arch,
		Rule: res.Decision.Rule, Profile: res.Decision.Profile, File: res.Decision.File,
		Notes: res.Notes, Other: res.Other, Address: res.Address, Style: res.Decision.Style,
		Deployment: res.Decision.Deployment, Detail: res.Decision.Detail, Track: res.Decision.Track,
	}
}

// quietFor is how long the same outcome of the same client is not logged again.
const quietFor = time.Minute

// logFilter lets each client's outcome through once a minute, without a lock
// or an allocation: a direct-mapped table, in which a collision costs a
// repeated event, which the journal's own table then drops.
type logFilter struct {
	second int64 // that offers are counted in
	offers int
	slots  [1024]struct {
		hash uint64
		at   int64 // unix nanoseconds
	}
}

// pass reports whether the outcome is news.
func (f *logFilter) pass(now time.Time, mac []byte, stage dhcp.Stage, reason packet.Reason, notes dhcp.Note) bool {
	h := outcomeHash(mac, uint8(stage), uint8(reason), uint32(notes))
	slot := &f.slots[h%uint64(len(f.slots))]
	at := now.UnixNano()
	if slot.hash == h && at-slot.at < int64(quietFor) {
		return false
	}
	slot.hash, slot.at = h, at
	return true
}

// offersPerSec bounds what one worker hands to the journal, which writes
// linesPerSec at most: each event wakes its goroutine, and at thousands a second
// that costs the worker more than the answers do. The rest is for outcomes that
// another worker had before.
const offersPerSec = 4 * linesPerSec

// spend takes one of this second's offers. It reports false when they are used up.
func (f *logFilter) spend(now time.Time) bool {
	if s := now.Unix(); s != f.second {
		f.second, f.offers = s, 0
	}
	f.offers++
	return f.offers <= offersPerSec
}

// outcomeHash is FNV-1a over all that makes an outcome a different one.
func outcomeHash(mac []byte, stage, reason uint8, notes uint32) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, b := range mac {
		h = (h ^ uint64(b)) * prime
	}
	h = (h ^ uint64(stage)) * prime
	h = (h ^ uint64(reason)) * prime
	return (h ^ uint64(notes)) * prime
}
