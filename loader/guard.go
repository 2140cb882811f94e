package loader

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/xdpxe/xdpxe/bpf"
)

// Rate bounds something to so many a second, and so many at once. 0 a second: no bound.
type Rate struct{ PerSecond, Burst int }

// Budget bounds what all get together. Known percent of it are kept for those
// who asked before.
type Budget struct {
	Rate
	Known int
}

// Guard says how much of what is for us gets any work: package bpf explains
// how. The zero value refuses nothing.
type Guard struct {
	On                         bool
	Client, TFTPClient         Rate // of one MAC, or relay and MAC; of one address
	Requests, Broadcasts, TFTP Budget
	TFTPPort                   uint16 // of the file server; 0: none
	SinglePort                 bool   // its data come and go by that port
	// Strays: what the program passes to UDP 4011 ends in our own socket, so
	// that the guard may count it.
	Strays bool
}

// Sizes of the guard's tables where Options do not say.
const (
	DefaultFilter  = bpf.FilterEntries / 2 * bpf.FilterEntrySize
	DefaultSources = bpf.SourcesEntries
)

// samples bounds what is kept of refused packets: they are for the log, which
// says something once a minute.
var samples = bpf.NewLimit(20, 100)

// sizeGuard makes the tables of the guard as large as options say. Those of a
// program that the operator loads are as they are.
func (l *ladder) sizeGuard(spec *ebpf.CollectionSpec) {
	o := &l.o
	if o.External {
		if o.GuardFilter != DefaultFilter || o.GuardSources != DefaultSources {
			l.d.note("guard: the tables of a program that is not loaded by xdpxe have their default sizes")
		}
		return
	}
	spec.Maps[bpf.FilterMap].MaxEntries = uint32(2 * o.GuardFilter / bpf.FilterEntrySize)
	spec.Maps[bpf.SourcesMap].MaxEntries = uint32(o.GuardSources)
}

// limits returns the two buckets of a budget: for all, and for those who asked before.
func (b Budget) limits() (all, known bpf.Limit) {
	if b.PerSecond == 0 {
		return bpf.Limit{}, bpf.Limit{}
	}
	share := float64(b.Known) / 100
	of := func(share float64) bpf.Limit {
		if share == 0 || b.Burst == 0 {
			return bpf.NoTokens
		}
		return bpf.NewLimit(share*float64(b.PerSecond), max(share*float64(b.Burst), 1))
	}
	return of(1 - share), of(share)
}

func (r Rate) limit() bpf.Limit { return bpf.NewLimit(float64(r.PerSecond), float64(r.Burst)) }

// SetGuard puts a guard in force, at once. All budgets begin full.
func (d *Datapath) SetGuard(g Guard) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.coll == nil {
		return nil
	}
	budgets := [bpf.NumBudgets]bpf.Limit{bpf.BudgetSamples: samples}
	for first, b := range map[bpf.Budget]Budget{bpf.BudgetRequests: g.Requests, bpf.BudgetBroadcasts: g.Broadcasts, bpf.BudgetTFTP: g.TFTP} {
		budgets[first], budgets[first+1] = b.limits()
	}
	for i, l := range budgets {
		if err := d.coll.Maps[bpf.BucketsMap].Put(uint32(i), bpf.Bucket{Limit: l}); err != nil {
			return fmt.Errorf("interface %s: %s: %w", d.info.Iface, bpf.BucketsMap, err)
		}
	}
	v := bpf.Guard{
		Source: g.Client.limit(), TFTPSource: g.TFTPClient.limit(),
		Seed: d.guardSeed, FilterMask: d.coll.Maps[bpf.FilterMap].MaxEntries()/2 - 1,
		On: truth(g.On), TFTPPort: g.TFTPPort, TFTPSingle: uint16(truth(g.SinglePort)), Strays: truth(g.Strays),
	}
	if err := d.coll.Maps[bpf.GuardMap].Put(uint32(0), v); err != nil {
		return fmt.Errorf("interface %s: %s: %w", d.info.Iface, bpf.GuardMap, err)
	}
	return nil
}

func truth(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// openSamples prepares for SetGuard and Refused.
func (d *Datapath) openSamples() error {
	var former bpf.Guard
	if err := d.coll.Maps[bpf.GuardMap].Lookup(uint32(0), &former); err != nil {
		return fmt.Errorf("%s: %w", bpf.GuardMap, err)
	}
	// A former daemon's marks hold only under its seed.
	d.guardSeed = former.Seed
	for d.guardSeed == 0 {
		d.guardSeed = rand.Uint64()
	}
	rd, err := ringbuf.NewReader(d.coll.Maps[bpf.SamplesMap])
	if err != nil {
		return fmt.Errorf("%s: %w", bpf.SamplesMap, err)
	}
	d.samples = rd
	return nil
}

// Refusal is one of the packets that the guard refused.
type Refusal struct {
	Reason string     // as in Counters
	MAC    [6]byte    // the frame's source
	VIDs   [2]uint16  // of its tags, outermost first; 0: none
	Src    netip.Addr // of the datagram
	// Client is the hardware address of a DHCP client, with what follows it in
	// the message; zeros for anything else.
	Client [16]byte
	Relay  netip.Addr // of a DHCP client; invalid: none
	Known  bool       // had asked before
}

// Refused calls each for some of the packets that were refused since it was
// called last: some 20 a second of all, chosen by chance. Counters has their numbers.
func (d *Datapath) Refused(each func(Refusal)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.samples == nil || d.closed {
		return nil
	}
	d.samples.SetDeadline(deadline(0))
	var rec ringbuf.Record
	for d.samples.AvailableBytes() > 0 {
		err := d.samples.ReadInto(&rec)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("interface %s: %s: %w", d.info.Iface, bpf.SamplesMap, err)
		}
		s, err := bpf.ParseSample(rec.RawSample)
		if err != nil {
			return fmt.Errorf("interface %s: %s: %w", d.info.Iface, bpf.SamplesMap, err)
		}
		each(refusalOf(&s))
	}
	return nil
}

func refusalOf(s *bpf.Sample) Refusal {
	r := Refusal{
		Reason: s.Reason.String(), MAC: s.MAC, VIDs: s.VID, Src: netip.AddrFrom4(s.Src), Client: s.Who.CHAddr, Known: s.Known != 0,
	}
	if s.Who.Kind == bpf.SourceDHCP && s.Who.Addr != [4]byte{} {
		r.Relay = netip.AddrFrom4(s.Who.Addr)
	}
	return r
}

// Refused reports whether a reason of Counters is one of the guard's.
func Refused(reason string) bool {
	for r := range bpf.NumReasons {
		if r.Refused() && r.String() == reason {
			return true
		}
	}
	return false
}
