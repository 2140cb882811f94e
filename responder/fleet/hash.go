package fleet

// Key is what a machine's owner is found by. All members compute the same one.
type Key uint64

// KeyOf returns the key of a hardware address: chaddr[:hlen] of the request. The
// UUID would be one for all network cards of a machine, but not every client
// sends it and vendors ship the same one on many machines.
func KeyOf(chaddr []byte) Key { return Key(mix(fnv1a(chaddr))) }

// fnv1a is the 64-bit FNV-1a hash.
func fnv1a[T []byte | string](s T) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// mix makes every bit of a number depend on every bit: the last steps of
// SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// weight is a member's claim to a machine: the highest owns it.
func weight(member uint64, k Key) uint64 { return mix(member ^ uint64(k)) }
