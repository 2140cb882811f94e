package binding

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/policy"
)

var t0 = time.Unix(1_700_000_000, 0)

func mac(n int) []byte { return []byte{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)} }

func uuid(n int) []byte { return []byte{0x11, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, byte(n)} }

func table(t testing.TB, size int) *Table {
	t.Helper()
	tab, err := Open("", size)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// who is the last byte of the hardware address behind an address, 0 for nobody.
func who(tab *Table, addr string, now time.Time) int {
	m, ok := tab.Who(netip.MustParseAddr(addr), now)
	switch {
	case !ok:
		return 0
	case m.MAC.IsZero():
		return -1
	}
	b := m.MAC.Bytes()
	return int(b[len(b)-1])
}

func TestClaims(t *testing.T) {
	const x, y = "192.0.2.1", "192.0.2.2"
	type claim struct {
		at  int // seconds
		mac int
		on  string
	}
	for _, c := range []struct {
		name   string
		claims []claim
		at     int
		x, y   int
	}{
		{"nobody", nil, 0, 0, 0},
		{"one", []claim{{0, 1, x}}, 0, 1, 0},
		{"again and again", []claim{{0, 1, x}, {1, 1, x}, {2, 1, x}}, 2, 1, 0},
		{"firmware, then iPXE with another lease", []claim{{0, 1, x}, {2, 1, y}}, 2, 0, 1},
		{"two machines, two addresses", []claim{{0, 1, x}, {0, 2, y}}, 0, 1, 2},
		{"leased to the next", []claim{{0, 1, x}, {10, 2, x}}, 10, 2, 0},
		{"a forged claim behind the real one", []claim{{0, 1, x}, {1, 2, x}}, 1, 0, 0},
		{"a forged claim does not grow true by waiting", []claim{{0, 1, x}, {1, 2, x}}, 600, 0, 0},
		{"a forged claim before the real one", []claim{{0, 2, x}, {1, 1, x}}, 1, 0, 0},
		{"the real one repeats it", []claim{{0, 1, x}, {1, 2, x}, {4, 1, x}}, 4, 0, 0},
		{"and is alone with it later", []claim{{0, 1, x}, {1, 2, x}, {11, 1, x}}, 11, 1, 0},
		{"too soon to be alone", []claim{{0, 1, x}, {1, 2, x}, {10, 1, x}}, 10, 0, 0},
		{"the holder of a contested address is alone with it later", []claim{{0, 1, x}, {1, 2, x}, {11, 2, x}}, 11, 2, 0},
		{"who claims it over and over keeps it nobody's", []claim{{0, 1, x}, {5, 2, x}, {10, 1, x}, {15, 2, x}, {20, 1, x}}, 20, 0, 0},
		{"the other took another one", []claim{{0, 1, x}, {1, 2, x}, {2, 2, y}, {3, 1, x}}, 3, 1, 2},
		{"the contest does not follow to another address", []claim{{0, 1, x}, {1, 2, x}, {2, 2, y}}, 2, 0, 2},
		{"a claim ends", []claim{{0, 1, x}}, int(Lifetime / time.Second), 0, 0},
		{"a claim is still good", []claim{{0, 1, x}}, int(Lifetime/time.Second) - 1, 1, 0},
		{"the clock was set back", []claim{{0, 1, x}}, -3600, 1, 0},
		{"set back, and leased to the next", []claim{{0, 1, x}, {-3600, 2, x}}, -3600, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab := table(t, 8)
			for _, cl := range c.claims {
				tab.Bind(netip.MustParseAddr(cl.on), mac(cl.mac), nil, t0.Add(time.Duration(cl.at)*time.Second))
			}
			now := t0.Add(time.Duration(c.at) * time.Second)
			if gotX, gotY := who(tab, x, now), who(tab, y, now); gotX != c.x || gotY != c.y {
				t.Errorf("%s: %d, %s: %d; want %d and %d", x, gotX, y, gotY, c.x, c.y)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		bound, asked string
		known        bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"::ffff:192.0.2.1", "192.0.2.1", true},
		{"2001:db8::1", "2001:db8::1", true},
		{"2001:db8::1", "2001:db8::2", false},
		{"::c000:201", "192.0.2.1", false},
		{"fe80::1%eth0", "fe80::1%eth0", false}, // another machine's on the next network
		{"0.0.0.0", "0.0.0.0", false},
		{"::", "::", false},
		{"255.255.255.255", "255.255.255.255", false},
		{"224.0.0.1", "224.0.0.1", false},
		{"ff02::1", "ff02::1", false},
	} {
		tab := table(t, 2)
		tab.Bind(netip.MustParseAddr(c.bound), mac(1), nil, t0)
		if got := who(tab, c.asked, t0) == 1; got != c.known {
			t.Errorf("%s bound, %s asked for: known is %v", c.bound, c.asked, got)
		}
	}
	tab := table(t, 2)
	tab.Bind(netip.Addr{}, mac(1), nil, t0)
	if _, ok := tab.Who(netip.Addr{}, t0); ok {
		t.Error("somebody has no address")
	}
}

func TestAnswered(t *testing.T) {
	tab := table(t, 4)
	addr := netip.MustParseAddr("192.0.2.7")
	tab.Answered(mac(1), uuid(1), "x64-uefi", "linux", "d-1", []byte("port 7"), t0)
	tab.Bind(addr, mac(1), nil, t0.Add(time.Second))
	m, ok := tab.Who(addr, t0.Add(time.Second))
	if got, want := fmt.Sprintln(m.MAC, m.UUID, m.Arch, m.Profile, m.Deployment, string(m.CircuitID), m.Bound.Equal(t0.Add(time.Second)), ok),
		"02:00:00:00:00:01 11020304-0506-0708-090a-0b0c0d0e0f01 x64-uefi linux d-1 port 7 true true\n"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if c := m.Client(); string(c.MAC) != string(mac(1)) || string(c.UUID) != string(uuid(1)) || m.ID() != m.MAC {
		t.Errorf("client %v, id %s", c, m.ID())
	}

	tab.Answered(mac(1), uuid(1), "x64-uefi", "other", "", nil, t0.Add(2*time.Second)) // the last answer counts
	if m, ok = tab.Who(addr, t0.Add(2*time.Second)); !ok || m.Profile != "other" || m.Deployment != "" || string(m.CircuitID) != "port 7" {
		t.Errorf("after another answer: %+v", m)
	}
	tab.Answered(nil, nil, "x64-uefi", "linux", "", nil, t0)                   // nobody
	tab.Answered(make([]byte, 16), make([]byte, 16), "bios", "a", "", nil, t0) // a placeholder
	if s := tab.Stats(); s.Machines != 1 || s.Addresses != 1 || s.LeftOut != 0 {
		t.Errorf("%+v", s)
	}
}

// What does not fit is left out and never cut. All names of profiles fit.
func TestLongNames(t *testing.T) {
	if policy.MaxProfileName > maxName {
		t.Errorf("profiles' names have up to %d bytes, room is for %d", policy.MaxProfileName, maxName)
	}
	for _, arch := range policy.ArchNames() {
		if len(arch) > maxArch {
			t.Errorf("no room for %s", arch)
		}
	}
	tab := table(t, 4)
	addr := netip.MustParseAddr("192.0.2.7")
	fits, long := strings.Repeat("n", maxName), strings.Repeat("n", maxName+1)
	circuit := []byte(strings.Repeat("c", maxCircuit+1))
	tab.Bind(addr, mac(1), nil, t0)
	tab.Answered(mac(1), nil, "bios", long, long, circuit, t0)
	if m, ok := tab.Who(addr, t0); !ok || m.Profile != "" || m.Deployment != "" || m.CircuitID != nil {
		t.Errorf("%+v", m)
	}
	if n := tab.Stats().LeftOut; n != 3 {
		t.Errorf("%d left out, want 3", n)
	}
	tab.Answered(mac(1), nil, "bios", fits, fits, circuit[1:], t0)
	if m, ok := tab.Who(addr, t0); !ok || m.Profile != fits || m.Deployment != fits || len(m.CircuitID) != maxCircuit {
		t.Errorf("%+v", m)
	}
}

// Firmware that shows its UUID in the place of the hardware address does not
// contest with the iPXE that it loads, and a machine without one has a name.
func TestUUID(t *testing.T) {
	x, now := netip.MustParseAddr("192.0.2.1"), t0
	tab := table(t, 4)
	tab.Bind(x, uuid(1), nil, now)
	if m, ok := tab.Who(x, now); !ok || !m.MAC.IsZero() || m.ID().String() != "11020304-0506-0708-090a-0b0c0d0e0f01" || m.Client().MAC != nil {
		t.Errorf("%+v, %v", m, ok)
	}
	now = now.Add(time.Second)
	tab.Bind(x, mac(1), uuid(1), now)
	if got := who(tab, "192.0.2.1", now); got != 1 {
		t.Errorf("iPXE behind its firmware: %d, want 1", got)
	}
	now = now.Add(time.Second)
	tab.Bind(x, mac(2), uuid(1), now) // another hardware address: another machine, whatever its UUID
	if got := who(tab, "192.0.2.1", now); got != 0 {
		t.Errorf("two machines of one UUID: %d, want nobody", got)
	}
	// Both spellings of a UUID are one machine's.
	swapped := append([]byte{4, 3, 2, 0x11, 6, 5, 8, 7}, uuid(1)[8:]...)
	before := tab.Stats().Machines
	tab.Bind(netip.MustParseAddr("192.0.2.9"), nil, swapped, now)
	if got := tab.Stats().Machines; got != before {
		t.Errorf("%d machines, want %d", got, before)
	}
}

func TestFull(t *testing.T) {
	tab := table(t, 4)
	addr := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }
	boots := func(n, at int) {
		now := t0.Add(time.Duration(at) * time.Second)
		tab.Answered(mac(n), nil, "bios", "p", "", nil, now)
		tab.Bind(addr(n), mac(n), nil, now)
	}
	boots(1, 0)
	boots(2, 1)
	boots(3, 2)
	boots(1, 3)
	for i := range 100 { // strangers that ask, and strangers with addresses that ask for nothing
		tab.Answered(mac(1000+2*i), nil, "bios", "p", "", nil, t0.Add(4*time.Second))
		tab.Bind(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), mac(1001+2*i), nil, t0.Add(4*time.Second))
	}
	now := t0.Add(5 * time.Second)
	for n := 1; n <= 3; n++ {
		if who(tab, addr(n).String(), now) != n {
			t.Errorf("strangers pushed machine %d out", n)
		}
	}
	boots(4, 6) // in the last stranger's place
	boots(5, 7) // in that of the longest unheard, machine 2
	for n, want := range map[int]int{1: 1, 2: 0, 3: 3, 4: 4, 5: 5} {
		if got := who(tab, addr(n).String(), t0.Add(8*time.Second)); got != want {
			t.Errorf("behind %s is %d, want %d", addr(n), got, want)
		}
	}
	if s := tab.Stats(); s.Machines != 4 || s.Addresses != 4 || s.Size != 4 || s.Pushed != 201 {
		t.Errorf("%+v", s)
	}
}

// The index, the order and the free places stay in step whatever happens.
func TestConsistent(t *testing.T) {
	tab := table(t, 16)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 10_000 {
		now := t0.Add(time.Duration(i) * time.Second)
		n := r.IntN(64)
		switch r.IntN(3) {
		case 0:
			tab.Answered(mac(n), uuid(n%8), "bios", "p", "", nil, now)
		case 1:
			tab.Bind(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(32))}), mac(n), nil, now)
		case 2:
			tab.Bind(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(32))}), uuid(n%8), nil, now)
		}
		if i%97 == 0 {
			check(t, tab)
		}
	}
}

// check compares the parts of a table with each other.
func check(t *testing.T, tab *Table) {
	t.Helper()
	inOrder, addresses := 0, 0
	for c := range classes {
		end := tab.order.ring(c)
		for i := tab.order.links[end].behind; i != end; i = tab.order.links[i].behind {
			k, r := &tab.known[i], &tab.slots[i].record
			inOrder++
			if tab.find(k.id) != i {
				t.Fatalf("slot %d is not found by %s", i, k.id)
			}
			if k.addr.IsValid() {
				addresses++
				if tab.holder(k.addr) != i {
					t.Fatalf("slot %d is not found by %s", i, k.addr)
				}
			}
			if r.class() != c || tab.slots[i].live.Load() != r.checksum() || !r.valid() {
				t.Fatalf("slot %d, class %d: not as it is to be written: %+v", i, c, r)
			}
			if kept := r.known(); kept != *k {
				t.Fatalf("slot %d: %+v is written, %+v known", i, kept, *k)
			}
		}
	}
	if used := len(tab.known) - len(tab.free); inOrder != used || tab.byID.n != used || tab.byAddr.n != addresses {
		t.Fatalf("%d used, %d in order, %d by identity; %d addresses, %d by address", used, inOrder, tab.byID.n, addresses, tab.byAddr.n)
	}
}
