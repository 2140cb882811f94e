package binding

import (
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

// Answered notes what a machine was answered with. mac is chaddr[:hlen], uuid
// option 97 without its type byte or nil; all slices are borrowed. Without a circuit
// id the one that is known stays: what goes to port 4011 passes no relay.
func (t *Table) Answered(mac, uuid []byte, arch, profile, deployment string, circuitID []byte, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.enter(mac, uuid, now)
	if i < 0 {
		return
	}
	arch, profile, deployment = t.fitting(arch, maxArch), t.fitting(profile, maxName), t.fitting(deployment, maxName)
	if len(circuitID) > maxCircuit {
		t.stats.LeftOut++
		circuitID = nil
	}
	k, r := &t.known[i], &t.slots[i].record
	if len(circuitID) == 0 {
		circuitID = r.circuitID()
	}
	if r.flags&wasAnswered != 0 && k.arch == arch && k.profile == profile && k.deployment == deployment && string(r.circuitID()) == string(circuitID) {
		t.order.heard(i, r.class())
		return
	}
	k.arch, k.profile, k.deployment = arch, profile, deployment
	next := *r
	next.flags |= wasAnswered
	next.archLen = fill(next.arch[:], arch)
	next.profileLen = fill(next.profile[:], profile)
	next.deployLen = fill(next.deploy[:], deployment)
	next.circuit = [maxCircuit]byte{}
	next.circuitLen = uint8(copy(next.circuit[:], circuitID))
	t.slots[i].write(&next)
	t.order.heard(i, next.class())
}

// fitting returns text that fits, else none.
func (t *Table) fitting(text string, most int) string {
	if len(text) > most {
		t.stats.LeftOut++
		return ""
	}
	return text
}

func fill(field []byte, text string) uint8 {
	clear(field)
	return uint8(copy(field, text))
}

// Bind notes that a machine says it has an address: option 50 of its DHCPREQUEST
// on port 67, ciaddr or its source on port 4011.
func (t *Table) Bind(addr netip.Addr, mac, uuid []byte, now time.Time) {
	addr, ok := ownable(addr)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.enter(mac, uuid, now)
	if i < 0 {
		return
	}
	k := &t.known[i]
	next := t.slots[i].record
	if k.addr != addr {
		next.disputed = 0
		if j := t.holder(addr); j >= 0 {
			if t.slots[j].soonAfter(now) && !sameMachine(k, &t.known[j]) {
				next.disputed = now.UnixNano()
				t.stats.Contested++
			}
			t.unbind(j)
		}
		t.unindex(i)
		k.addr = addr
		t.byAddr.add(t.byAddr.addr(addr), i)
	}
	next.bound, next.addr = now.UnixNano(), addr.As16()
	next.flags |= hasAddr
	t.slots[i].write(&next)
	t.order.heard(i, next.class())
}

// Who returns the machine behind an address. false: nobody, or two machines
// claim it and cannot be told apart.
func (t *Table) Who(addr netip.Addr, now time.Time) (Machine, bool) {
	addr, ok := ownable(addr)
	if !ok {
		return Machine{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.holder(addr)
	if i < 0 || len(t.slots) == 0 {
		return Machine{}, false
	}
	r := &t.slots[i].record
	if now.UnixNano()-r.bound >= int64(Lifetime) || r.disputed != 0 && r.bound-r.disputed < int64(Contest) {
		return Machine{}, false
	}
	k := &t.known[i]
	m := Machine{MAC: k.mac, UUID: k.uuid, Arch: k.arch, Profile: k.profile, Deployment: k.deployment, Bound: time.Unix(0, r.bound)}
	if id := r.circuitID(); len(id) > 0 {
		m.CircuitID = append([]byte(nil), id...)
	}
	return m, true
}

// ownable returns an address in the form that it is filed in. false: it cannot be
// one machine's. A link-local address of IPv6 is another's on each network.
func ownable(addr netip.Addr) (netip.Addr, bool) {
	addr = addr.Unmap()
	if !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() || addr.Zone() != "" || addr == broadcast {
		return addr, false
	}
	return addr, true
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// soonAfter reports whether the slot's address was claimed a moment ago. A clock
// that was set back a little makes no difference.
func (s *slot) soonAfter(now time.Time) bool {
	age := now.UnixNano() - s.bound
	return age < int64(Contest) && age > -int64(Contest)
}

// sameMachine: firmware may show its UUID in the place of the hardware address
// that iPXE shows after it.
func sameMachine(a, b *known) bool {
	return a.mac.IsZero() != b.mac.IsZero() && !a.uuid.IsZero() && a.uuid.Key() == b.uuid.Key()
}

// enter returns the slot of a machine, which is heard now; -1: it has no name, or
// the table is closed. The caller puts it in its place of the order.
func (t *Table) enter(mac, uuid []byte, now time.Time) int32 {
	if len(t.slots) == 0 {
		return -1
	}
	k := nameOf(mac, uuid)
	if k.id.IsZero() {
		return -1
	}
	i := t.find(k.id)
	switch {
	case i < 0:
		i = t.take(k.id)
		t.known[i] = k
		next := record{}
		next.name(&k)
		t.slots[i].write(&next)
		t.order.append(i, stranger)
	case !k.uuid.IsZero() && k.uuid != t.known[i].uuid:
		t.known[i].uuid = k.uuid
		next := t.slots[i].record
		next.name(&t.known[i])
		t.slots[i].write(&next)
	}
	t.slots[i].heard.Store(now.UnixNano())
	return i
}

// nameOf says how a machine is called.
func nameOf(mac, uuid []byte) (k known) {
	k.mac, k.uuid = deploy.Client{MAC: mac, UUID: uuid}.Identities()
	k.id = k.mac
	if k.id.IsZero() {
		k.id = k.uuid.Key()
	}
	return k
}

// find returns a machine's slot, -1 if it has none.
func (t *Table) find(id deploy.Identity) int32 {
	for i := t.byID.first(t.byID.id(id)); i >= 0; i = t.byID.after(i) {
		if t.known[i].id == id {
			return i
		}
	}
	return -1
}

// holder returns the slot of the machine that claimed an address last, -1 if none did.
func (t *Table) holder(addr netip.Addr) int32 {
	for i := t.byAddr.first(t.byAddr.addr(addr)); i >= 0; i = t.byAddr.after(i) {
		if t.known[i].addr == addr {
			return i
		}
	}
	return -1
}

// take returns a slot for a new machine, in no ring of the order.
func (t *Table) take(id deploy.Identity) int32 {
	if len(t.free) == 0 {
		i := t.order.victim()
		t.slots[i].live.Store(0)
		t.unindex(i)
		t.byID.remove(t.byID.id(t.known[i].id), i)
		t.order.remove(i)
		t.free = append(t.free, i)
		t.stats.Pushed++
	}
	i := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	t.byID.add(t.byID.id(id), i)
	return i
}

// unbind takes a machine's address away. In the order it counts as heard: its
// true place could not be found without looking at others.
func (t *Table) unbind(i int32) {
	t.unindex(i)
	next := t.slots[i].record
	next.flags &^= hasAddr
	next.addr, next.bound, next.disputed = [16]byte{}, 0, 0
	t.slots[i].write(&next)
	t.order.heard(i, next.class())
}

// unindex makes a slot not found by its address.
func (t *Table) unindex(i int32) {
	if k := &t.known[i]; k.addr.IsValid() {
		t.byAddr.remove(t.byAddr.addr(k.addr), i)
		k.addr = netip.Addr{}
	}
}
