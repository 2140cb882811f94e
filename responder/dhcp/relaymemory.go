package dhcp

import (
	"bytes"
	"hash/maphash"
	"sync"
	"time"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// What relays say of a client (option 82) is remembered from its DISCOVER to
// its request on 4011, which comes without: edk2 asks within 60 s, a user at a
// prompt later.
const relayFactsFor = 5 * time.Minute

// The memory is a set-associative cache: bounded, without pointers, and
// without allocation after its making. A full set loses its oldest entry.
const (
	relaySets = 1024
	relayWays = 8
	// relayData holds circuit and remote id of any option 82 that is one
	// piece: 255 bytes less two sub-option headers.
	relayData = 251
)

type relayFacts struct {
	seen                int64 // unix nanoseconds; 0: empty
	mac, uuid           [16]byte
	macLen              uint8
	hasUUID             bool
	hasCircuit          bool
	hasRemote           bool
	circuitLen, dataLen uint8
	data                [relayData]byte // circuit id, then remote id
}

// is reports whether f is of that client: the same hardware address and, where both are known, UUID.
func (f *relayFacts) is(res *Result) bool {
	return f.seen != 0 && f.macLen == res.MACLen &&
		bytes.Equal(f.mac[:f.macLen], res.MAC[:res.MACLen]) &&
		(!f.hasUUID || !res.HasUUID || f.uuid == res.UUID)
}

type relayMemory struct {
	seed maphash.Seed // clients choose their addresses, so they must not choose their set
	mu   sync.Mutex
	sets [relaySets][relayWays]relayFacts
}

func newRelayMemory() *relayMemory { return &relayMemory{seed: maphash.MakeSeed()} }

func (m *relayMemory) set(res *Result) *[relayWays]relayFacts {
	return &m.sets[maphash.Bytes(m.seed, res.MAC[:res.MACLen])%relaySets]
}

// store remembers the circuit and remote id of a client, each nil if absent.
func (m *relayMemory) store(now time.Time, res *Result, circuit, remote []byte) {
	if len(circuit)+len(remote) > relayData {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	set := m.set(res)
	slot := &set[0]
	for i := range set {
		if set[i].is(res) {
			slot = &set[i]
			break
		}
		if set[i].seen < slot.seen {
			slot = &set[i]
		}
	}
	slot.seen = now.UnixNano()
	slot.mac, slot.macLen = res.MAC, res.MACLen
	slot.uuid, slot.hasUUID = res.UUID, res.HasUUID
	slot.hasCircuit, slot.hasRemote = circuit != nil, remote != nil
	n := copy(slot.data[:], circuit)
	slot.circuitLen = uint8(n)
	slot.dataLen = uint8(n + copy(slot.data[n:], remote))
}

// load copies what is remembered of a client into f.
func (m *relayMemory) load(now time.Time, res *Result, f *relayFacts) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	set := m.set(res)
	for i := range set {
		if set[i].is(res) && now.UnixNano()-set[i].seen <= int64(relayFactsFor) {
			*f = set[i]
			return true
		}
	}
	return false
}

// rememberRelay keeps what the relay said of a client that was offered a boot.
func (w *Worker) rememberRelay(now time.Time, res *Result) {
	m := &w.machine
	if !w.trial && w.r.facts != nil && res.Stage == StageDiscover && (m.CircuitID != nil || m.RemoteID != nil) {
		w.r.facts.store(now, res, m.CircuitID, m.RemoteID)
	}
}

// recallRelay gives a boot server request the relay facts of its DISCOVER.
func (w *Worker) recallRelay(now time.Time, link *Link, in *packet.Packet, res *Result) {
	m := &w.machine
	if w.r.facts == nil || res.Stage != StageBootServer || m.CircuitID != nil || m.RemoteID != nil {
		return
	}
	f := &w.recall
	if !w.r.facts.load(now, res, f) {
		// Clients on our own networks have no relay.
		for _, p := range link.Prefixes {
			if p.Contains(in.Src.Addr()) {
				return
			}
		}
		res.Notes |= NoteRelayFactsMissing
		return
	}
	if f.hasCircuit {
		m.CircuitID = f.data[:f.circuitLen]
	}
	if f.hasRemote {
		m.RemoteID = f.data[f.circuitLen:f.dataLen]
	}
	res.Notes |= NoteRelayFactsRecall
}
