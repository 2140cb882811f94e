package hook

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"time"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// key is a client's question: who asks, and a hash of all else that the
// question says, as iPXE on a machine asks another one than its firmware.
type key struct {
	mac, uuid [16]byte
	n         uint8 // bytes of mac
	hasUUID   bool
	rest      uint64
}

// shards spread the locks: workers of many queues ask at once.
const shards = 64

type shard struct {
	mu      sync.Mutex
	entries map[key]*entry
	seed    maphash.Seed // the hook's; the same in all
	busy    uint64       // questions that were not put: too many wait
	dropped uint64       // answers forgotten before their time: too many are kept
	failed  uint64       // questions without an answer
	known   uint64       // answers
}

// entry is a question, and its answer once there is one.
type entry struct {
	key      key
	question Question
	asked    time.Time
	deadline time.Time // of Ask's clock

	answered bool
	until    time.Time
	answer   Answer
}

func (h *Hook) init() {
	seed := maphash.MakeSeed()
	for i := range h.shards {
		h.shards[i] = shard{entries: make(map[key]*entry), seed: seed}
	}
}

func (h *Hook) keyOf(m *policy.Machine) (k key) {
	k.n = uint8(copy(k.mac[:], m.MAC))
	if k.hasUUID = len(m.UUID) == len(k.uuid); k.hasUUID {
		copy(k.uuid[:], m.UUID)
	}
	var hash maphash.Hash
	hash.SetSeed(h.shards[0].seed)
	_, _ = hash.Write(k.mac[:])
	_, _ = hash.Write(k.uuid[:])
	flags := byte(0)
	if m.HTTP {
		flags |= 1
	}
	if m.IPXE {
		flags |= 2
	}
	_ = hash.WriteByte(flags)
	var word [4]byte
	arches := m.Arches[:max(0, min(m.NumArches, policy.MaxArches))]
	_ = hash.WriteByte(byte(len(arches)))
	for _, a := range arches {
		binary.BigEndian.PutUint16(word[:], uint16(a))
		_, _ = hash.Write(word[:2])
	}
	for _, text := range [...][]byte{m.VendorClass, m.UserClass, m.CircuitID, m.RemoteID} {
		binary.BigEndian.PutUint32(word[:], uint32(len(text)))
		_, _ = hash.Write(word[:])
		_, _ = hash.Write(text)
	}
	subnet, relay := m.Subnet.As16(), m.Relay.As16()
	_, _ = hash.Write(subnet[:])
	_, _ = hash.Write(relay[:])
	k.rest = hash.Sum64()
	return k
}

// add files an entry; among too many a few are looked at, and the one that is
// out of date first goes.
func (s *shard) add(e *entry, now time.Time, most int) {
	if len(s.entries) >= max(1, most) {
		var oldest *entry
		looked := 0
		for _, o := range s.entries {
			if oldest == nil || o.end().Before(oldest.end()) {
				oldest = o
			}
			if looked++; looked == 8 {
				break
			}
		}
		if now.Before(oldest.end()) {
			s.dropped++
		}
		delete(s.entries, oldest.key)
	}
	s.entries[e.key] = e
}

func (e *entry) end() time.Time {
	if e.answered {
		return e.until
	}
	return e.deadline
}

func (h *Hook) reply(e *entry) Reply {
	if e.answer.Err != nil {
		return Reply{State: Failed, Err: e.answer.Err, Open: h.cfg.FailOpen}
	}
	return Reply{State: Known, Answer: &e.answer}
}

// wanted reports whether a question still has its place.
func (h *Hook) wanted(e *entry) bool {
	s := &h.shards[e.key.rest%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[e.key] == e
}

// file puts the answer to a question where Ask finds it. Its time counts from
// when it was asked for: Ask's clock is the only one.
func (h *Hook) file(e *entry, a Answer, err error, took time.Duration) {
	s := &h.shards[e.key.rest%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	life := h.cfg.Retry
	if err == nil {
		life = h.cfg.Lifetime
		if a.TTL > 0 {
			life = min(a.TTL, maxLifetime)
		}
		s.known++
	} else {
		s.failed++
	}
	if s.entries[e.key] != e {
		return
	}
	e.answered, e.answer, e.until = true, a, e.asked.Add(took+life)
	e.answer.Err = err
	if err == nil {
		h.given.put(&e.key, &a, e.asked)
	}
}

// Stats count what a hook was asked and answered.
type Stats struct {
	Answers  uint64 `json:"answers"`
	Failures uint64 `json:"failures"`
	Busy     uint64 `json:"busy"`    // not asked: too many questions wait
	Dropped  uint64 `json:"dropped"` // answers forgotten before their time: too many are kept
	Waiting  int    `json:"waiting"` // questions
	Kept     int    `json:"kept"`    // questions and answers
}

// Stats returns them.
func (h *Hook) Stats() (st Stats) {
	st.Waiting = len(h.queue)
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		st.Answers += s.known
		st.Failures += s.failed
		st.Busy += s.busy
		st.Dropped += s.dropped
		st.Kept += len(s.entries)
		s.mu.Unlock()
	}
	return st
}

// Forget drops all answers, so that each client is asked for anew.
func (h *Hook) Forget() {
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		clear(s.entries)
		s.mu.Unlock()
	}
}
