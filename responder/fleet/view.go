package fleet

import (
	"cmp"
	"slices"
	"time"
)

// MaxMembers bounds a fleet. The first ones by name count, and oneself.
const MaxMembers = 64

// Grace is how long a member that drains goes on as before, until all others
// know that it does: a change reaches them in under a second.
const Grace = 2 * time.Second

// Member is one boot server of a fleet.
type Member struct {
	Name      string // of which there is one only; what the hash is of
	Draining  bool
	Addresses []string  // where it answers, for people
	Version   string    // of xdpxe
	Since     time.Time // it is a member
}

// View is the fleet as one member knows it. It does not change and may be used
// by any number of goroutines. It always has the member itself.
type View struct {
	members []Member
	seeds   []uint64 // hashes of their names
	self    int
}

// NewView returns the view of the member `self`, of the others that it knows.
func NewView(self Member, others []Member) *View {
	members := slices.DeleteFunc(slices.Clone(others), func(m Member) bool { return m.Name == self.Name })
	byName := func(a, b Member) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(members, byName)
	members = slices.CompactFunc(members, func(a, b Member) bool { return a.Name == b.Name })
	members = members[:min(len(members), MaxMembers-1)]
	v := &View{members: append(members, self)}
	slices.SortFunc(v.members, byName)
	for i, m := range v.members {
		v.seeds = append(v.seeds, mix(fnv1a(m.Name)))
		if m.Name == self.Name {
			v.self = i
		}
	}
	return v
}

// Members returns all members in order of their names.
func (v *View) Members() []Member { return slices.Clone(v.members) }

// Self returns the member whose view it is.
func (v *View) Self() Member { return v.members[v.self] }

// Owner returns the member that answers a machine at once.
func (v *View) Owner(k Key) Member {
	owner := 0
	for i := range v.members {
		if v.before(i, owner, k) {
			owner = i
		}
	}
	return v.members[owner]
}

// Rank returns how many members come before oneself for a machine; 0: one owns it.
func (v *View) Rank(k Key) int {
	rank := 0
	for i := range v.members {
		if v.before(i, v.self, k) {
			rank++
		}
	}
	return rank
}

// Answers says whether oneself answers a machine that asks for the n-th time, from 1.
func (v *View) Answers(k Key, n int) bool { return v.Rank(k) < n }

// before says whether member i ranks before member j for a machine.
func (v *View) before(i, j int, k Key) bool {
	if v.members[i].Draining != v.members[j].Draining {
		return v.members[j].Draining
	}
	a, b := weight(v.seeds[i], k), weight(v.seeds[j], k)
	return a > b || a == b && i < j
}
