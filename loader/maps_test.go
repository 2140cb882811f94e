package loader

import (
	"errors"
	"net/netip"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdpxe/xdpxe/bpf"
)

// content returns what the program sees in addrs_map.
func content(t *testing.T, m *ebpf.Map) map[bpf.AddrKey]bpf.AddrValue {
	t.Helper()
	got := map[bpf.AddrKey]bpf.AddrValue{}
	var key bpf.AddrKey
	var value bpf.AddrValue
	it := m.Iterate()
	for it.Next(&key, &value) {
		got[key] = value
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSetAddrs(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Native})
	m := d.coll.Maps[bpf.AddrsMap]
	own, broadcast := bpf.AddrKey{IP: [4]byte{192, 0, 2, 10}}, bpf.AddrKey{IP: [4]byte{192, 0, 2, 255}}
	want := map[bpf.AddrKey]bpf.AddrValue{own: {MAC: r.near.MAC}, broadcast: {MAC: broadcastMAC}}
	if got := content(t, m); !reflect.DeepEqual(got, want) {
		t.Errorf("interface's addresses: %v", got)
	}
	one, two := [6]byte{2, 1}, [6]byte{2, 2}
	ip := netip.MustParseAddr
	err := d.SetAddrs([]Addr{
		{IP: ip("192.0.2.10"), MAC: one}, // stays, with another MAC
		{IP: ip("198.51.100.1"), VIDs: []uint16{5}, MAC: one},
		{IP: ip("198.51.100.1"), VIDs: []uint16{5, 7}, MAC: two},
		{IP: ip("198.51.100.1"), VIDs: []uint16{5, 7}, MAC: one}, // again: the first counts
		{IP: ip("203.0.113.2"), AnyVLAN: true, MAC: two},
	})
	if err != nil {
		t.Fatal(err)
	}
	want = map[bpf.AddrKey]bpf.AddrValue{
		own: {MAC: one},
		{IP: [4]byte{198, 51, 100, 1}, VID: [2]uint16{5}}:                     {MAC: one},
		{IP: [4]byte{198, 51, 100, 1}, VID: [2]uint16{5, 7}}:                  {MAC: two},
		{IP: [4]byte{203, 0, 113, 2}, VID: [2]uint16{bpf.AnyVID, bpf.AnyVID}}: {MAC: two},
	}
	if got := content(t, m); !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	if err := d.SetAddrs([]Addr{{IP: ip("2001:db8::1")}}); err == nil {
		t.Error("IPv6")
	}
	if got := content(t, m); !reflect.DeepEqual(got, want) {
		t.Errorf("after an error: %v", got)
	}
	if err := d.SetAddrs(nil); err != nil || len(content(t, m)) != 0 {
		t.Errorf("none: %v, %v", content(t, m), err)
	}
	many := make([]Addr, bpf.MaxAddrs+1)
	for i := range many {
		many[i].IP = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
	}
	if err := d.SetAddrs(many[:bpf.MaxAddrs]); err != nil {
		t.Errorf("as many as there is room for: %v", err)
	}
	if err := d.SetAddrs(many); err == nil {
		t.Error("more than there is room for")
	}
}

// What changes on the interface that needs a new datapath, and what does not.
func TestCheck(t *testing.T) {
	r := newRig(t, 2)
	d := r.open(t, Options{Datapath: Native, RunDir: t.TempDir()})
	f := facts(t, "near")
	if why := d.Check(f); why != "" {
		t.Errorf("nothing changed: %s", why)
	}
	// Another hand turns the offload on: it goes off again.
	run(t, "ethtool", "-K", "near", "rxvlan", "on")
	if why := d.Check(f); why != "" || rxvlan(t, "near") {
		t.Errorf("rxvlan on: %q, on is %v", why, rxvlan(t, "near"))
	}
	more := *f
	more.RXQueues = 3
	mustContain(t, d.Check(&more), "3 RX queues, had 2")
	bonded := *f
	bonded.Bond = "bond0"
	mustContain(t, d.Check(&bonded), "member of bond bond0")
	ip(t, "link", "set", "near", "down")
	ip(t, "link", "set", "near", "up")
	if why := d.Check(facts(t, "near")); why != "" {
		t.Errorf("a flap: %s", why)
	}
	for !facts(t, "near").Carrier {
		time.Sleep(time.Millisecond)
	}
	if err := d.link.Detach(); err != nil {
		t.Fatal(err)
	}
	mustContain(t, d.Check(f), "detached")
}

// A ring buffer's reader waits, is woken, and ends as conn.RecordReader says.
func TestRing(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Ringbuf})
	ring := d.Ring()
	buf := make([]byte, bpf.MaxRecord)
	nothing := func(wait time.Duration, what string) {
		t.Helper()
		if n, err := ring.Read(buf, wait); n != 0 || err != nil {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
	nothing(0, "empty, without waiting")
	nothing(time.Millisecond, "empty")
	ring.Wake()
	nothing(0, "woken, without waiting")
	nothing(-1, "woken by a Wake that came before")
	done := make(chan error, 1)
	go func() {
		_, err := ring.Read(make([]byte, bpf.MaxRecord), -1)
		done <- err
	}()
	ring.Wake()
	if err := <-done; err != nil {
		t.Errorf("woken: %v", err)
	}

	r.recorded(t, d, discover(1))
	// A record that does not fit is cut, and the next one is whole.
	r.client.Send(t, discover(2).frame())
	r.client.Send(t, discover(3).frame())
	if n, err := ring.Read(buf[:20], patience); n != 20 || err != nil {
		t.Errorf("cut: %d, %v", n, err)
	}
	if n, err := ring.Read(buf, patience); err != nil || n != bpf.RequestHeaderSize+len(discover(3).frame()) {
		t.Errorf("after a cut one: %d, %v", n, err)
	} else if xid, _ := xidOf(buf[bpf.RequestHeaderSize:n]); xid != 3 {
		t.Errorf("xid %d, want 3", xid)
	}

	go func() {
		_, err := ring.Read(make([]byte, bpf.MaxRecord), -1)
		done <- err
	}()
	if err := ring.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := ring.Read(buf, -1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	ring.Wake()
	if err := ring.Close(); err != nil {
		t.Errorf("twice: %v", err)
	}
}
