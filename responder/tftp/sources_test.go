package tftp

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
	"unsafe"
)

func TestSources(t *testing.T) {
	cfg, err := Config{PerClient: Limits{Requests: 10}, PerNetwork: Limits{Requests: 20}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s := newSources(&cfg)
	now := instant(time.Hour)
	a := netip.MustParseAddr("192.0.2.1")
	ask := func(a netip.Addr, n int) (answered int, refused Outcome) {
		for range n {
			if how := s.take(a, now); how == running {
				answered++
			} else {
				refused = how
			}
		}
		return answered, refused
	}
	if n, how := ask(a, 2*requestBurst); n != requestBurst || how != ClientRate {
		t.Errorf("%d requests of one address are answered at once, then %v", n, how)
	}
	now = now.add(10 * time.Second)
	if n, _ := ask(a, 1000); n != 100 {
		t.Errorf("%d in ten seconds", n)
	}
	s.giveBack(a, now)
	if n, _ := ask(a, 10); n != 1 {
		t.Errorf("%d after one was acknowledged", n)
	}
	now = now.add(time.Hour)
	total := 0
	for i := range 250 { // a whole network
		n, how := ask(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 100)
		if total += n; how != running && how != NetworkRate {
			t.Fatal(how)
		}
	}
	if total != requestBurst {
		t.Errorf("%d requests of one network are answered at once", total)
	}
	if n, _ := ask(netip.MustParseAddr("2001:db8::1"), 1); n != 1 {
		t.Error("another network is refused")
	}
}

// TestSourcesFlood has forged requests from all over the world: what is known of
// one source that sends too much is not forgotten, and memory does not grow.
func TestSourcesFlood(t *testing.T) {
	r := newRates(10)
	now := instant(time.Hour)
	victim := netip.MustParsePrefix("192.0.2.1/32")
	answered := 0
	for i := range uint32(200_000) {
		r.take(netip.PrefixFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0x0b000000+i*7))), 32), now)
		if r.take(victim, now) {
			answered++
		}
		if i%100 == 0 {
			now = now.add(time.Microsecond)
		}
	}
	if answered > requestBurst+1 {
		t.Errorf("%d requests of one source are answered", answered)
	}
	if size := unsafe.Sizeof(*r); size > 512<<10 {
		t.Errorf("%d bytes", size)
	}
}

// TestReflection has requests from addresses that never acknowledge anything:
// one datagram each, a few more by timer and by repetition, and no window.
func TestReflection(t *testing.T) {
	for _, c := range []struct {
		what    string
		options []string
		size    int // of one answer
	}{
		{"OACK", []string{"blksize", "1468", "windowsize", "64"}, len(oackPacket("blksize", "1468", "windowsize", "64"))},
		{"DATA 1", nil, headerLen + 512},
	} {
		t.Run(c.what, func(t *testing.T) {
			w, client := byHand(t, Config{GSO: true, NoPrefetch: true}, randomFile(1<<20, 1))
			e := w.endpoints[0]
			a := client.addr()
			d := &datagram{payload: rrq(append([]string{"f", "octet"}, c.options...)...), local: mapped([4]byte{127, 0, 0, 1}), ifindex: 1, unicast: true,
				from: peer{addr: mapped(a.Addr().As4()), port: a.Port()}}
			w.onRequest(e, d)
			answer := w.server.opener.open(<-w.server.opener.lookups)
			w.onFound(&answer)
			stays(answer.file)
			w.sendRound(e)
			if p, _ := client.recv(); len(p) != c.size || !client.empty() {
				t.Errorf("answered with %d bytes, or more", len(p))
			}
			packets, start := 1, w.now
			for w.running > 0 {
				if w.now.since(start) > time.Minute {
					t.Fatal("never given up")
				}
				for range 100 {
					w.onRequest(e, d)
					w.sendRound(e)
				}
				packets += client.count()
				w.server.epoch = w.server.epoch.Add(-100 * time.Millisecond)
				w.now = w.server.clock()
				w.expire()
				w.sendRound(e)
			}
			if packets > 16 || packets < 5 || w.now.since(start) > 16*time.Second {
				t.Errorf("%d answers in %v to requests that nobody acknowledges", packets, w.now.since(start))
			}
		})
	}
}

// TestServeRates has a source that is answered no more, and another that is.
func TestServeRates(t *testing.T) {
	w, _ := byHand(t, Config{PerClient: Limits{Requests: 1}}, []byte("data"))
	e := w.endpoints[0]
	for i := range requestBurst + 3 {
		w.onRequest(e, &datagram{payload: rrq("f"), local: mapped([4]byte{127, 0, 0, 1}), ifindex: 1, unicast: true,
			from: peer{addr: mapped([4]byte{127, 0, 0, 1}), port: uint16(i + 1)}})
	}
	// Malformed ones are answered with an ERROR, which is an answer too.
	if st := w.server.Stats(); st.Outcomes[ClientRate] < 2 || st.Outcomes[Malformed]+st.Outcomes[ClientRate] != requestBurst+3 {
		t.Errorf("%+v", st)
	}
}
