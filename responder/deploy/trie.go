package deploy

import "math/bits"

// trie is a map that never changes: set and remove return another one and
// share what is alike, so that a reader keeps what it has while a writer goes
// on (a hash array mapped trie; P. Bagwell, "Ideal Hash Trees", 2001).
type trie[K comparable, V any] struct {
	hash func(K) uint64
	root *branch[K, V]
	n    int
}

// branch has up to 32 slots, one for each set bit, in the order of the bits.
// Below the last level keys have the same hash: there bits is 0 and slots a list.
type branch[K comparable, V any] struct {
	bits  uint32
	slots []slot[K, V]
}

// slot is a key with its value, or the next level.
type slot[K comparable, V any] struct {
	key  K
	val  V
	next *branch[K, V]
}

const (
	levelBits = 5
	hashBits  = 64
)

func (t *trie[K, V]) get(key K) (val V, ok bool) {
	hash := t.hash(key)
	b := t.root
	for shift := 0; b != nil; shift += levelBits {
		i, has := b.find(hash, shift, key)
		if !has {
			return val, false
		}
		s := &b.slots[i]
		if s.next == nil {
			if s.key != key {
				return val, false
			}
			return s.val, true
		}
		b = s.next
	}
	return val, false
}

// find returns the place of the key's slot: where it is, or where it belongs.
func (b *branch[K, V]) find(hash uint64, shift int, key K) (i int, has bool) {
	if shift >= hashBits {
		for i := range b.slots {
			if b.slots[i].key == key {
				return i, true
			}
		}
		return len(b.slots), false
	}
	bit := bitOf(hash, shift)
	return onesBelow(b.bits, bit), b.bits&bit != 0
}

func (t trie[K, V]) set(key K, val V) trie[K, V] {
	added := false
	t.root = t.put(t.root, 0, t.hash(key), key, val, &added)
	if added {
		t.n++
	}
	return t
}

func (t *trie[K, V]) put(b *branch[K, V], shift int, hash uint64, key K, val V, added *bool) *branch[K, V] {
	leaf := slot[K, V]{key: key, val: val}
	if b == nil {
		*added = true
		b = &branch[K, V]{slots: []slot[K, V]{leaf}}
		if shift < hashBits {
			b.bits = bitOf(hash, shift)
		}
		return b
	}
	i, has := b.find(hash, shift, key)
	if !has {
		*added = true
		next := &branch[K, V]{bits: b.bits, slots: make([]slot[K, V], len(b.slots)+1)}
		if shift < hashBits {
			next.bits |= bitOf(hash, shift)
		}
		copy(next.slots, b.slots[:i])
		next.slots[i] = leaf
		copy(next.slots[i+1:], b.slots[i:])
		return next
	}
	switch old := b.slots[i]; {
	case old.next != nil:
		leaf = slot[K, V]{next: t.put(old.next, shift+levelBits, hash, key, val, added)}
	case old.key != key: // two keys so far alike: one level more
		ignored := false
		down := t.put(nil, shift+levelBits, t.hash(old.key), old.key, old.val, &ignored)
		leaf = slot[K, V]{next: t.put(down, shift+levelBits, hash, key, val, added)}
	}
	return b.with(i, leaf)
}

func (b *branch[K, V]) with(i int, s slot[K, V]) *branch[K, V] {
	next := &branch[K, V]{bits: b.bits, slots: append([]slot[K, V](nil), b.slots...)}
	next.slots[i] = s
	return next
}

func (t trie[K, V]) remove(key K) trie[K, V] {
	if _, ok := t.get(key); !ok {
		return t
	}
	t.root = t.root.without(0, t.hash(key), key)
	t.n--
	return t
}

// without returns b without a key that is in it, nil if nothing remains.
func (b *branch[K, V]) without(shift int, hash uint64, key K) *branch[K, V] {
	i, _ := b.find(hash, shift, key)
	if below := b.slots[i].next; below != nil {
		if below = below.without(shift+levelBits, hash, key); below != nil {
			return b.with(i, slot[K, V]{next: below})
		}
	}
	if len(b.slots) == 1 {
		return nil
	}
	next := &branch[K, V]{bits: b.bits, slots: make([]slot[K, V], 0, len(b.slots)-1)}
	if shift < hashBits {
		next.bits &^= bitOf(hash, shift)
	}
	next.slots = append(append(next.slots, b.slots[:i]...), b.slots[i+1:]...)
	return next
}

// all yields every key, in no order.
func (t *trie[K, V]) all(yield func(K, V) bool) { t.root.all(yield) }

func (b *branch[K, V]) all(yield func(K, V) bool) bool {
	if b == nil {
		return true
	}
	for i := range b.slots {
		s := &b.slots[i]
		if s.next != nil {
			if !s.next.all(yield) {
				return false
			}
		} else if !yield(s.key, s.val) {
			return false
		}
	}
	return true
}

func bitOf(hash uint64, shift int) uint32 { return 1 << (hash >> shift & (1<<levelBits - 1)) }

func onesBelow(set, bit uint32) int { return bits.OnesCount32(set & (bit - 1)) }
