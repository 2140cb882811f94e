package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Limits, as in abi.h.
const (
	MaxFrame    = 1536   // longest frame that is taken from the kernel, bytes
	MaxOptions  = 64     // DHCP options looked at in one message
	MaxClasses  = 8      // entries of classes_map
	MaxClassLen = 32     // bytes of a vendor class prefix
	MaxAddrs    = 4096   // entries of addrs_map
	MaxQueues   = 256    // entries of xsks_map
	AnyVID      = 0xffff // in AddrKey.VID: any tags, or none
)

// Deliver says how requests to one port reach user space.
type Deliver uint32

const (
	DeliverNone      Deliver = iota // not at all: the kernel's stack has them
	DeliverXSK                      // redirected to the AF_XDP socket of their RX queue
	DeliverRingSteal                // copied into the ring buffer, then dropped
	DeliverRingTee                  // copied into the ring buffer, then passed

	numDelivers
)

var deliverNames = [numDelivers]string{"none", "xsk", "ring_steal", "ring_tee"}

// String returns the name for logs and status.
func (d Deliver) String() string {
	if d < numDelivers {
		return deliverNames[d]
	}
	return fmt.Sprintf("deliver(%d)", uint32(d))
}

// Settings is the value of settings_map[0]. Zero: everything passes.
type Settings struct {
	Deliver67   Deliver
	Deliver4011 Deliver
	// Answer67 and Answer4011 let templates answer requests to that port where
	// they are not 0 (and the port is not teed). Ignoring needs no leave.
	Answer67   uint32
	Answer4011 uint32
}

// AddrKey is a key of addrs_map: an address that requests may be sent to, and
// the VLAN that it belongs to. [NewAddrKey] makes one.
type AddrKey struct {
	IP  [4]byte   // network order
	VID [2]uint16 // native order; outermost tag first, 0 where there is none
}

// NewAddrKey returns the key for an IPv4 address behind the given VLAN ids,
// outermost first. Ids of 0 (priority tags) are left out, as the program does:
// no id, or only 0, means untagged.
func NewAddrKey(ip netip.Addr, vids ...uint16) (AddrKey, error) {
	ip = ip.Unmap()
	if !ip.Is4() {
		return AddrKey{}, fmt.Errorf("address %v: not IPv4", ip)
	}
	key := AddrKey{IP: ip.As4()}
	n := 0
	for _, vid := range vids {
		switch {
		case vid == 0:
		case vid > 4094:
			return AddrKey{}, fmt.Errorf("address %v: VLAN id %d out of range", ip, vid)
		case n == len(key.VID):
			return AddrKey{}, fmt.Errorf("address %v: more than %d VLAN tags", ip, n)
		default:
			key.VID[n] = vid
			n++
		}
	}
	return key, nil
}

// AnyVLANKey returns the key for an IPv4 address whatever tags the frame has.
func AnyVLANKey(ip netip.Addr) (AddrKey, error) {
	key, err := NewAddrKey(ip)
	key.VID = [2]uint16{AnyVID, AnyVID}
	return key, err
}

// AddrValue is a value of addrs_map: the destination MAC of frames to that
// address, which is ff:ff:ff:ff:ff:ff for a directed broadcast.
type AddrValue struct {
	MAC [6]byte
}

// ClassEntry is a value of classes_map: vendor classes (option 60) that begin
// with Prefix[:Len] are ours. Mask is 0xff for each of these bytes and zero
// behind, as is Prefix. The first entry of length 0 ends the list. [Classes]
// makes them.
type ClassEntry struct {
	Prefix [MaxClassLen]byte
	Mask   [MaxClassLen]byte
	Len    uint64
}

// Classes returns the whole content of classes_map for a list of prefixes.
// Write all of it, so that entries of an earlier list go.
func Classes(prefixes []string) ([MaxClasses]ClassEntry, error) {
	var entries [MaxClasses]ClassEntry
	if len(prefixes) > MaxClasses {
		return entries, fmt.Errorf("%d vendor classes: at most %d", len(prefixes), MaxClasses)
	}
	for i, p := range prefixes {
		if p == "" || len(p) > MaxClassLen {
			return entries, fmt.Errorf("vendor class %q: must have 1 to %d bytes", p, MaxClassLen)
		}
		entries[i].Len = uint64(len(p))
		copy(entries[i].Prefix[:], p)
		copy(entries[i].Mask[:], bytes.Repeat([]byte{0xff}, len(p)))
	}
	return entries, nil
}

// RequestHeader begins a record of requests_map; the frame follows as it came
// in, with Ethernet padding.
type RequestHeader struct {
	KtimeNS uint64 // CLOCK_MONOTONIC
	IfIndex uint32 // the device that the program is attached to
	Len     uint32 // bytes of frame
}

// RequestHeaderSize is the size of a RequestHeader in a record, in bytes.
const RequestHeaderSize = 16

// MaxRecord is the longest record of requests_map, in bytes.
const MaxRecord = RequestHeaderSize + MaxFrame

var errShortRecord = errors.New("ring buffer record shorter than it says")

// ParseRequest splits a record of requests_map. The frame is a slice of the
// record, which stays the caller's. It does not allocate.
func ParseRequest(record []byte) (RequestHeader, []byte, error) {
	if len(record) < RequestHeaderSize {
		return RequestHeader{}, nil, errShortRecord
	}
	h := RequestHeader{
		KtimeNS: binary.NativeEndian.Uint64(record),
		IfIndex: binary.NativeEndian.Uint32(record[8:]),
		Len:     binary.NativeEndian.Uint32(record[12:]),
	}
	frame := record[RequestHeaderSize:]
	if uint64(h.Len) > uint64(len(frame)) {
		return RequestHeader{}, nil, errShortRecord
	}
	return h, frame[:h.Len:h.Len], nil
}
