package binding

import (
	"hash/maphash"
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

// index finds slots by a hash, in memory that is taken once: chains through one
// table. Clients cannot tell which hashes are alike, as the seed is random.
type index struct {
	seed  maphash.Seed
	heads []int32 // by hash: a slot's number + 1; 0: none
	next  []int32 // by slot: the same
	n     int
}

func newIndex(size int) index {
	buckets := 1
	for buckets < size {
		buckets *= 2
	}
	return index{seed: maphash.MakeSeed(), heads: make([]int32, buckets), next: make([]int32, size)}
}

func (x *index) id(id deploy.Identity) uint64 { return maphash.Comparable(x.seed, id) }
func (x *index) addr(a netip.Addr) uint64     { return maphash.Comparable(x.seed, a.As16()) }

func (x *index) head(hash uint64) *int32 { return &x.heads[hash&uint64(len(x.heads)-1)] }

// first returns the first slot that may be meant, and after the one behind it; -1: no more.
func (x *index) first(hash uint64) int32 { return *x.head(hash) - 1 }
func (x *index) after(i int32) int32     { return x.next[i] - 1 }

func (x *index) add(hash uint64, i int32) {
	head := x.head(hash)
	x.next[i] = *head
	*head = i + 1
	x.n++
}

func (x *index) remove(hash uint64, i int32) {
	for p := x.head(hash); *p != 0; p = &x.next[*p-1] {
		if *p == i+1 {
			*p = x.next[i]
			x.next[i] = 0
			x.n--
			return
		}
	}
}

// Classes of machines: those of the lower go first when there is no room.
const (
	stranger = iota
	client   // was answered, and has an address
	classes
)

// order has each class's slots from the longest unheard to the last heard: rings
// through one table, each with a place of its own behind the slots'.
type order struct {
	links []link
	class []uint8
}

type link struct{ before, behind int32 }

func newOrder(size int) order {
	o := order{links: make([]link, size+classes), class: make([]uint8, size)}
	for c := range classes {
		at := o.ring(c)
		o.links[at] = link{at, at}
	}
	return o
}

func (o *order) ring(class int) int32 { return int32(len(o.links) - classes + class) }

// append puts a slot that is in no ring to the end of one.
func (o *order) append(i int32, class int) {
	end := o.ring(class)
	last := o.links[end].before
	o.links[i] = link{before: last, behind: end}
	o.links[last].behind, o.links[end].before = i, i
	o.class[i] = uint8(class)
}

func (o *order) remove(i int32) {
	l := o.links[i]
	o.links[l.before].behind, o.links[l.behind].before = l.behind, l.before
}

// heard moves a slot to the end of its class's ring.
func (o *order) heard(i int32, class int) {
	o.remove(i)
	o.append(i, class)
}

// victim returns the slot that goes next.
func (o *order) victim() int32 {
	for c := range classes {
		if end := o.ring(c); o.links[end].behind != end {
			return o.links[end].behind
		}
	}
	return -1
}
