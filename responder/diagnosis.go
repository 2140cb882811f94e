package responder

import (
	"net/netip"
	"sort"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/dhcp"
)

// Trouble is a way in which somebody else keeps our clients from booting.
type Trouble uint8

const (
	// ClaimsPXE: a DHCP server sends option 60 PXEClient with its leases. Clients
	// then ask that server on 4011 and ignore our offer (PROTOCOL 2.3, edk2 case 5).
	ClaimsPXE Trouble = iota
	// FillsFile: a DHCP server fills the boot file. shim takes its second stage
	// from there although the firmware booted from us (shim netboot.c).
	FillsFile
	// OverridesServer: a relay puts itself into option 54 (RFC 5107). iPXE would send its
	// boot server request to the relay; xdpxe therefore keeps its own address there.
	OverridesServer
	// AsksOther: a client asks our port 4011 for another server.
	AsksOther

	numTroubles
)

var troubles = [numTroubles]struct{ name, advice string }{
	ClaimsPXE: {"server_claims_pxe", "a DHCP server claims PXEClient (option 60) with its leases: clients will ask it on port 4011 instead of xdpxe; remove option 60 there"},
	FillsFile: {"server_fills_boot_file", "a DHCP server fills in a boot file: some boot loaders follow it instead of xdpxe; remove its filename and option 67"},
	OverridesServer: {"relay_overrides_server", "a relay overrides the server identifier (RFC 5107); xdpxe keeps its own address in option 54, so this is harmless for it, " +
		"but boot servers that obey send their clients to the relay's port 4011"},
	AsksOther: {"asks_other_server", "a client asks our port 4011 for another server (option 54): its DHCP server claims PXEClient, or two boot servers share our address"},
}

// String returns the metric label.
func (t Trouble) String() string { return troubles[t].name }

// Advice says in a sentence what is wrong and what to do.
func (t Trouble) Advice() string { return troubles[t].advice }

const (
	troubleQuiet = 10 * time.Minute // before the same trouble of the same server is logged again
	maxTroubles  = 256              // servers that are told apart: their addresses come from the wire
)

// Diagnosis counts the sightings of one trouble.
type Diagnosis struct {
	Trouble  Trouble
	Server   netip.Addr // who is at fault
	Count    uint64
	LastSeen time.Time
	logged   time.Time
}

// Diagnoses collects what will keep machines from booting although xdpxe does
// its part, counts it, and warns of it. Safe for concurrent use.
type Diagnoses struct {
	log   *zap.Logger
	mu    sync.Mutex
	found map[diagnosisKey]*Diagnosis
}

type diagnosisKey struct {
	trouble Trouble
	server  netip.Addr
}

func newDiagnoses(log *zap.Logger) *Diagnoses {
	return &Diagnoses{log: log, found: make(map[diagnosisKey]*Diagnosis)}
}

// InspectReply looks at the DHCP message of another server that was seen on iface.
func (d *Diagnoses) InspectReply(now time.Time, iface string, payload []byte) {
	f, ok := dhcp.InspectReply(payload)
	// A reply without a lease is another boot server's offer: clients choose
	// between the two of us, and neither needs to know of the other.
	if !ok || f.YourIP.IsUnspecified() {
		return
	}
	if f.ClaimsPXE {
		d.note(now, ClaimsPXE, f.Server, zap.String("iface", iface))
	}
	if f.File != "" {
		d.note(now, FillsFile, f.Server, zap.String("iface", iface), zap.String("file", f.File))
	}
}

// inspect looks at what our own answering noticed.
func (d *Diagnoses) inspect(e *Event) {
	if e.Notes&dhcp.NoteServerIDOverride != 0 {
		d.note(e.Time, OverridesServer, e.Relay, zap.String("iface", e.Iface), zap.String("client", e.Client()))
	}
	if e.Notes&dhcp.NoteOtherServer4011 != 0 {
		d.note(e.Time, AsksOther, e.Other, zap.String("iface", e.Iface), zap.String("client", e.Client()))
	}
}

func (d *Diagnoses) note(now time.Time, t Trouble, server netip.Addr, fields ...zap.Field) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := diagnosisKey{t, server}
	found := d.found[key]
	if found == nil {
		if len(d.found) >= maxTroubles {
			key.server = netip.Addr{} // the rest share one entry
		}
		if found = d.found[key]; found == nil {
			found = &Diagnosis{Trouble: t, Server: key.server}
			d.found[key] = found
		}
	}
	found.Count++
	found.LastSeen = now
	if !found.logged.IsZero() && now.Sub(found.logged) < troubleQuiet {
		return
	}
	found.logged = now
	d.log.Warn(t.Advice(), append(fields, zap.Stringer("trouble", t), zap.Stringer("server", server))...)
}

// List returns what was found, ordered by trouble and server.
func (d *Diagnoses) List() []Diagnosis {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]Diagnosis, 0, len(d.found))
	for _, f := range d.found {
		out = append(out, *f)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Trouble != out[j].Trouble {
			return out[i].Trouble < out[j].Trouble
		}
		return out[i].Server.Less(out[j].Server)
	})
	return out
}
