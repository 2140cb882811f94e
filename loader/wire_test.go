package loader

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestAFXDP(t *testing.T) {
	for _, tier := range []Tier{Native, Generic} {
		for _, queues := range []int{1, 4} {
			t.Run(string(tier)+map[int]string{1: "/one queue", 4: "/four queues"}[queues], func(t *testing.T) {
				r := newRig(t, queues)
				d := r.open(t, Options{Datapath: tier})
				i := d.Info()
				if i.Tier != tier || string(i.Mode) != string(tier) || i.Deliver != Steal || i.ZeroCopy || i.Queues != queues || len(d.Sockets()) != queues {
					t.Errorf("%+v", i)
				}
				r.redirected(t, d, discover(1))
				q := discover(2)
				q.dst, q.to = r.near.MAC, netip.AddrPortFrom(ourIP, 4011)
				r.redirected(t, d, q)
				if c := counts(t, d); c["redirected"] != 2 {
					t.Errorf("counters %v", c)
				}
				plain := discover(3)
				plain.class = "MSFT 5.0"
				r.passes(t, plain)
			})
		}
	}
}

func TestRingBuffer(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Ringbuf})
	if i := d.Info(); i.Tier != Ringbuf || i.Mode != ModeNative || len(d.Sockets()) != 0 {
		t.Errorf("%+v", i)
	}
	r.recorded(t, d, discover(1))
	r.hidden(t, 1)
	if c := counts(t, d); c["stolen"] != 1 {
		t.Errorf("counters %v", c)
	}
}

// What is taken changes while the program runs.
func TestSetDeliver(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Ringbuf, Deliver: Steal})
	r.recorded(t, d, discover(1))
	r.hidden(t, 1)

	if err := d.SetDeliver(Tee, "a DHCP server started"); err != nil {
		t.Fatal(err)
	}
	if i := d.Info(); i.Deliver != Tee || i.DeliverWhy != "a DHCP server started" {
		t.Errorf("%+v", i)
	}
	since := monotonic()
	r.passes(t, discover(2))
	r.record(t, d, discover(2), since)
	// 4011 is nobody else's.
	q := discover(3)
	q.dst, q.to = r.near.MAC, netip.AddrPortFrom(ourIP, 4011)
	r.recorded(t, d, q)
	r.hidden(t, 3)

	if err := d.SetDeliver(Steal, ""); err != nil {
		t.Fatal(err)
	}
	r.recorded(t, d, discover(4))
	r.hidden(t, 4)
	if err := d.SetDeliver(DeliverAuto, ""); err == nil {
		t.Error("auto is nothing that the program can be told")
	}
	if err := d.Quiesce(); err != nil {
		t.Fatal(err)
	}
	r.passes(t, discover(5))
}

// An AF_XDP tier can tee: 67 comes through the ring buffer then, 4011 through the socket.
func TestSetDeliverAFXDP(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Native})
	r.redirected(t, d, discover(1))
	if err := d.SetDeliver(Tee, ""); err != nil {
		t.Fatal(err)
	}
	r.recorded(t, d, discover(2))
	r.passes(t, discover(3))
	q := discover(4)
	q.dst, q.to = r.near.MAC, netip.AddrPortFrom(ourIP, 4011)
	r.redirected(t, d, q)
}

// Nothing is taken before the first beat, nor when it is stale, nor when it is stopped.
func TestHeartbeat(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Native})
	d.StopBeat()
	r.passes(t, discover(1))
	d.Beat()
	r.redirected(t, d, discover(2))
	d.beat.set(monotonic() - uint64(testStale+time.Second))
	r.passes(t, discover(3))
	d.Beat()
	r.redirected(t, d, discover(4))

	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	fresh, err := Open(Options{Iface: "near", Datapath: Native})
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	r.passes(t, discover(5))
	if c := counts(t, fresh); c["heartbeat_stale"] == 0 {
		t.Errorf("counters %v", c)
	}
}

// Two tags, one tag and none are told apart.
func TestTagsArriveInBand(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Native})
	f := facts(t, "near")
	addrs := append(Addrs(f, netip.Addr{}), Addr{IP: netip.MustParseAddr("198.51.100.1"), VIDs: []uint16{5, 7}, MAC: r.near.MAC})
	if err := d.SetAddrs(addrs); err != nil {
		t.Fatal(err)
	}
	q := discover(1)
	q.vids = []uint16{5}
	r.redirected(t, d, q)
	q = discover(2)
	q.dst, q.to, q.vids = r.near.MAC, netip.MustParseAddrPort("198.51.100.1:4011"), []uint16{5, 7}
	r.redirected(t, d, q)
	q = discover(3)
	q.dst, q.to = r.near.MAC, netip.MustParseAddrPort("198.51.100.1:4011") // not on this network
	r.passes(t, q)
}

func TestVendorClasses(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Native, VendorClasses: []string{"Arm:", "U-Boot"}})
	q := discover(1)
	q.class = "U-Boot.armv8"
	r.redirected(t, d, q)
	r.passes(t, discover(2))
	_, err := Open(Options{Iface: "far", VendorClasses: []string{strings.Repeat("x", 33)}, Datapath: Native})
	if err == nil {
		t.Error("a vendor class that does not fit")
	}
}
