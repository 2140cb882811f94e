package binding

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/mapfile"
)

// saved is a machine of a former process.
type saved struct {
	record
	heard int64
}

// parse reads the whole of a file: what can be believed, and how many slots were
// not whole.
func parse(data []byte, boot [16]byte) (all []saved, torn int, err error) {
	if len(data) < headerSize {
		return nil, 0, fmt.Errorf("is truncated: %d bytes are less than its header", len(data))
	}
	data = mapfile.Aligned(data)
	h, _ := view(data, 0)
	switch {
	case h.magic != magic:
		return nil, 0, errors.New("is none of xdpxe's")
	case h.version > Version:
		return nil, 0, fmt.Errorf("was written by a newer xdpxe (layout %d, this one has %d)", h.version, Version)
	case h.version < Version:
		return nil, 0, fmt.Errorf("was written by an older xdpxe (layout %d, this one has %d)", h.version, Version)
	case int(h.headerSize) != headerSize || int(h.slotSize) != slotSize || h.slots > MaxSize || h.sum != h.checksum():
		return nil, 0, errors.New("has a damaged header")
	case h.boot != boot:
		return nil, 0, errors.New("is from before the machine was started")
	case int64(len(data)) != length(int(h.slots)):
		return nil, 0, fmt.Errorf("is truncated: it has %d bytes and should have %d", len(data), length(int(h.slots)))
	}
	_, slots := view(data, int(h.slots))
	for i := range slots {
		s := &slots[i]
		live := s.live.Load()
		if live == 0 {
			continue
		}
		if live != s.record.checksum() || !s.record.valid() {
			torn++
			continue
		}
		all = append(all, saved{record: s.record, heard: s.heard.Load()})
	}
	return all, torn, nil
}

// valid says whether a record can be what a server once wrote. The checksum said
// so already; this is for a server of the same layout with a mistake in it.
func (r *record) valid() bool {
	if r.archLen > maxArch || r.profileLen > maxName || r.deployLen > maxName || r.circuitLen > maxCircuit || r.macLen >= uint8(len(r.mac)) {
		return false
	}
	k := r.known()
	_, ok := ownable(k.addr)
	return !k.id.IsZero() && ok == k.addr.IsValid()
}

// known is the part of a record that the process keeps.
func (r *record) known() known {
	var uuid []byte
	if r.flags&hasUUID != 0 {
		uuid = r.uuid[:]
	}
	k := nameOf(r.mac[:r.macLen], uuid)
	if r.flags&hasAddr != 0 {
		k.addr = netip.AddrFrom16(r.addr).Unmap()
	}
	k.arch, k.profile, k.deployment = string(r.arch[:r.archLen]), string(r.profile[:r.profileLen]), string(r.deploy[:r.deployLen])
	return k
}

// name puts the machine's identities into a record.
func (r *record) name(k *known) {
	r.mac, r.uuid = [16]byte{}, [16]byte{}
	r.macLen = uint8(k.mac.Copy(r.mac[:]))
	r.flags &^= hasUUID
	if k.uuid.Copy(r.uuid[:]) > 0 {
		r.flags |= hasUUID
	}
}

// circuitID is clipped, as the mapping may hold anything.
func (r *record) circuitID() []byte { return r.circuit[:min(r.circuitLen, maxCircuit)] }

// class says how long a record is kept when there is no room.
func (r *record) class() int {
	if r.flags&hasAddr != 0 && r.flags&wasAnswered != 0 {
		return client
	}
	return stranger
}
