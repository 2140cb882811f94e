package tftp

import (
	"net/netip"
	"strconv"

	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/tftp/resume"
)

// peer identifies a client to a worker: it sends from here, to one of the
// worker's endpoints. IPv4 addresses are in their mapped form.
type peer struct {
	addr     [16]byte
	zone     uint32 // scope of an IPv6 link-local address, else 0
	port     uint16
	endpoint uint8 // index into worker.endpoints
}

// ip returns the address without its zone, as prefixes compare it.
func (p *peer) ip() netip.Addr { return netip.AddrFrom16(p.addr).Unmap() }

// addrPort returns the address in full. The number is as good a zone as the
// interface's name, and needs no look-up.
func (p *peer) addrPort() netip.AddrPort {
	a := p.ip()
	if p.zone != 0 {
		a = a.WithZone(strconv.FormatUint(uint64(p.zone), 10))
	}
	return netip.AddrPortFrom(a, p.port)
}

// slot is the place of one transfer. It has no pointers: the file is kept beside it.
type slot struct {
	transfer
	peer    peer
	local   [16]byte // our address in this transfer, mapped like peer.addr
	started instant
	serial  uint32 // changes with each use: a late result of a lookup tells by it
	timer   int32  // place in the worker's timers, -1: none
	before  slotID // in its flow's list, while it is queued
	after   slotID
	mtu     uint16 // of the interface the request came in on; 0: unknown or beyond 65,535
	used    bool
	queued  bool // in its flow's list: something is due
	staged  bool // in the batch of this round
	lingers bool // ended, and waits for late packets
	loading bool // what is due is not in memory yet
	loaded  bool // it was made so a moment ago
	whole   bool // no segmentation offload: the route refuses it
}

// chunkSize is the number of slots that are allocated at once.
const chunkSize = 256

type chunk struct {
	slots [chunkSize]slot
	files [chunkSize]*content.File

	records [chunkSize]*resume.Record // nil: the transfer ends with the process
	flows   [chunkSize]*flow
}

// slotID names a slot of a table.
type slotID uint32

// table holds a worker's transfers, by client and by slot.
type table struct {
	byPeer map[peer]slotID
	chunks []*chunk
	free   []slotID
}

func newTable() table { return table{byPeer: map[peer]slotID{}} }

func (t *table) slot(id slotID) *slot { return &t.chunks[id/chunkSize].slots[id%chunkSize] }

func (t *table) file(id slotID) *content.File { return t.chunks[id/chunkSize].files[id%chunkSize] }

func (t *table) setFile(id slotID, f *content.File) { t.chunks[id/chunkSize].files[id%chunkSize] = f }

func (t *table) record(id slotID) *resume.Record {
	return t.chunks[id/chunkSize].records[id%chunkSize]
}

func (t *table) setRecord(id slotID, r *resume.Record) {
	t.chunks[id/chunkSize].records[id%chunkSize] = r
}
func (t *table) flow(id slotID) *flow { return t.chunks[id/chunkSize].flows[id%chunkSize] }

func (t *table) setFlow(id slotID, f *flow) { t.chunks[id/chunkSize].flows[id%chunkSize] = f }

// find returns the slot of a client's transfer.
func (t *table) find(p peer) (slotID, *slot, bool) {
	id, ok := t.byPeer[p]
	if !ok {
		return 0, nil, false
	}
	return id, t.slot(id), true
}

// add returns a fresh slot for a client that has none.
func (t *table) add(p peer) (slotID, *slot) {
	if len(t.free) == 0 {
		first := slotID(len(t.chunks) * chunkSize)
		t.chunks = append(t.chunks, new(chunk))
		for id := first + chunkSize; id > first; id-- {
			t.free = append(t.free, id-1)
		}
	}
	id := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	s := t.slot(id)
	*s = slot{peer: p, serial: s.serial + 1, timer: -1, used: true}
	t.byPeer[p] = id
	return id, s
}

// remove gives a slot back. Its file and its flow must be gone by then.
func (t *table) remove(id slotID) {
	s := t.slot(id)
	delete(t.byPeer, s.peer)
	s.used = false
	t.free = append(t.free, id)
}

// each calls f with every used slot.
func (t *table) each(f func(slotID, *slot)) {
	for i, c := range t.chunks {
		for j := range c.slots {
			if c.slots[j].used {
				f(slotID(i*chunkSize+j), &c.slots[j])
			}
		}
	}
}
