package dhcpc

import "encoding/binary"

// Identity is a simulated machine: everything about it follows from the number.
// Numbers that differ below 2^40 are machines that differ.
type Identity uint64

// MAC is a locally administered address (IEEE 802 §8.2) that holds the number.
func (id Identity) MAC() [6]byte {
	return [6]byte{0x02, byte(id >> 32), byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}
}

// UUID is of version 4 (RFC 9562 §5.4): bits that look random, but are the number's.
func (id Identity) UUID() (u [16]byte) {
	binary.BigEndian.PutUint64(u[:], mix(uint64(id)))
	binary.BigEndian.PutUint64(u[8:], mix(^uint64(id)))
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// mix is SplitMix64's step: neighbouring numbers become unlike ones, no two the same.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
