package deploy

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestFlood: random addresses fill neither memory nor store, are written some
// a second, and a machine that asks again is among those that are.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore()
		s := start(t, m, func(c *Config) { c.Limits = Limits{Held: 200, NewMachines: 2} }).ready()
		a := id(t, macA)
		see := func(mac []byte) {
			s.See(Sighting{Client: Client{MAC: mac}, VendorClass: []byte("PXEClient"), Hold: true}, time.Now())
		}
		var mac [6]byte
		n := uint32(0)
		flood := func(seconds int) {
			for range seconds {
				for range 1000 {
					n++
					binary.BigEndian.PutUint32(mac[2:], n*2654435761)
					see(mac[:])
				}
				time.Sleep(time.Second)
			}
		}
		changes := s.changes.Load()
		flood(30)
		if n := s.changes.Load() - changes; n != 0 {
			t.Errorf("strangers changed the answers %d times", n)
		}
		writes := m.written()
		if writes > newBurst+2*31 {
			t.Errorf("%d writes in 30 s", writes)
		}
		if st := s.SightingStats(); st.Waiting > maxPending || st.Lost == 0 {
			t.Errorf("%+v", st)
		}
		see(a.Bytes())
		see(a.Bytes())
		time.Sleep(2 * time.Second)
		if got, ok := s.Snapshot().Machine(a); !ok || !got.Held || got.Tries != 2 {
			t.Errorf("the machine that asked twice: %+v", got)
		}
		flood(60) // until the limit is reached
		if held := s.Snapshot().Stats().Held; held > 200 {
			t.Errorf("%d held", held)
		}
		if s.SightingStats().Refused == 0 {
			t.Error("none refused at the limit")
		}
		// Some time later strangers have made room; the machine that asked twice stays.
		time.Sleep(2 * evictAfter)
		b := id(t, macB)
		see(b.Bytes())
		see(b.Bytes())
		time.Sleep(time.Minute)
		if _, ok := s.Snapshot().Machine(b); !ok {
			t.Errorf("no room was made: %+v", s.Snapshot().Stats())
		}
		if _, ok := s.Snapshot().Machine(a); !ok {
			t.Error("the machine that asked twice made room")
		}
	})
}

// TestSeenByTwo: two servers see one machine; what both saw is in one record,
// and writes are few however often it asks.
func TestSeenByTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemStore(), id(t, macA)
		one, other := start(t, m).ready(), start(t, m).ready()
		for range 120 {
			one.See(Sighting{Client: Client{MAC: a.Bytes()}, Arch: "bios", Relay: netip.MustParseAddr("198.51.100.1")}, time.Now())
			other.See(Sighting{Client: Client{MAC: a.Bytes(), UUID: id(t, uuidA).Bytes()}, Hold: true}, time.Now())
			time.Sleep(time.Second)
		}
		time.Sleep(2 * noteEvery)
		got, _ := one.Snapshot().Machine(a)
		if got.Tries != 240 || !got.Held || got.Arch != "bios" || got.UUID != id(t, uuidA) {
			t.Errorf("%+v", got)
		}
		if n := m.written(); n > 12 {
			t.Errorf("%d writes in four minutes", n)
		}
	})
}

func TestSeeDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector's own allocations are not counted")
		return
	}
	c := New(Config{Store: newMemStore()})
	a, u := id(t, macA), id(t, uuidA)
	s := Sighting{Client: Client{MAC: a.Bytes(), UUID: u.Bytes()}, Arch: "bios", VendorClass: []byte("PXEClient"), CircuitID: []byte{0, 4, 0, 7}, Hold: true}
	if n := testing.AllocsPerRun(100, func() { c.See(s, t0) }); n != 0 {
		t.Errorf("%v allocations for a machine that asks again", n)
	}
}
