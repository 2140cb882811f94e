package tftp

import (
	"bytes"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

// paced is a transfer with a round trip of 1.6 ms, in the middle of its file.
func paced(t *testing.T, window, burst int) *machine {
	m := newMachine(t, 1000, window)
	m.x.grant.burst = uint16(burst)
	m.sends("OACK")
	m.now = m.now.add(1600 * time.Microsecond)
	m.x.ack(0, m.now, &testTiming)
	return m
}

func TestPacing(t *testing.T) {
	t.Run("a window in bursts, spread over the round trip", func(t *testing.T) {
		m := paced(t, 16, 4)
		for _, burst := range []string{"1-4", "5-8", "9-12", "13-16"} {
			m.sends(burst)
			m.sends("")
			m.now = m.now.add(399 * time.Microsecond)
			m.sends("")
			m.now = m.now.add(time.Microsecond)
		}
		m.sends("")
	})
	t.Run("pieces of a burst", func(t *testing.T) {
		m := paced(t, 16, 4)
		m.x.sentData(4, m.now, &testTiming)
		m.sends("4-4")
		m.sends("")
	})
	t.Run("an acknowledgement ends the pause", func(t *testing.T) {
		m := paced(t, 16, 4)
		m.sends("1-4")
		m.x.ack(4, m.now, &testTiming)
		m.sends("5-8")
		m.x.ack(6, m.now, &testTiming) // lost
		m.sends("7-10")
	})
	t.Run("a pause is no silence", func(t *testing.T) {
		m := paced(t, 16, 4)
		m.sends("1-4")
		m.wait(20 * time.Millisecond)
		m.sends("5-8")
		if m.x.tries != 0 {
			t.Error("taken for a time-out")
		}
	})
	t.Run("no pause that a timer cannot measure, and none at the end", func(t *testing.T) {
		m := newMachine(t, 1000, 16)
		m.x.grant.burst = 4
		m.sends("OACK")
		m.now = m.now.add(50 * time.Microsecond)
		m.x.ack(0, m.now, &testTiming)
		m.sends("1-4")
		m.sends("5-8")
		m = paced(t, 16, 8)
		m.sends("1-8")
		if m.x.resume == 0 {
			t.Error("no pause within a window")
		}
		m.now = m.x.resume
		m.sends("9-16")
		if m.x.resume != 0 {
			t.Error("a pause after a window")
		}
	})
}

// TestPacingThroughSlowLink sends windows of 64 blocks into a queue of 32 blocks
// before a link of 1 Gbit/s: whole windows overflow it, each time; bursts do not.
func TestPacingThroughSlowLink(t *testing.T) {
	const (
		blocks, window, queue = 6400, 64, 32
		perBlock              = 12 * time.Microsecond // 1.5 kB at 1 Gbit/s
		delay                 = 400 * time.Microsecond
	)
	run := func(burst int) (lost int, took time.Duration) {
		m := newMachine(t, blocks, window)
		m.x.grant.burst = uint16(burst)
		m.sends("OACK")
		m.now = m.now.add(2 * delay)
		m.x.ack(0, m.now, &testTiming)
		start := m.now
		idle := m.now // when the link has sent all that it has
		expected := uint64(1)
		inWindow, gap := 0, false
		ackAt, ack := never, uint64(0)
		for m.end == running {
			for m.x.pending(m.now) {
				_, from, to := m.x.due(m.now)
				for n := from; n < to; n++ {
					if idle.since(m.now) > queue*perBlock {
						lost++
						continue
					}
					idle = max(idle, m.now).add(perBlock)
					if n == expected {
						expected++
						gap = false
						if inWindow++; inWindow == window || n == m.x.last {
							inWindow, ackAt, ack = 0, idle.add(2*delay), n
						}
					} else if n > expected && !gap { // once for each gap, as U-Boot
						inWindow, gap = 0, true
						ackAt, ack = idle.add(2*delay), expected-1
					}
				}
				m.x.sentData(to, m.now, &testTiming)
			}
			next := min(ackAt, m.x.deadline)
			if m.x.unsent() {
				next = min(next, m.x.resume)
			}
			m.now = max(m.now, next)
			if m.now >= ackAt {
				ackAt = never
				m.end = m.x.ack(uint16(ack), m.now, &testTiming)
			} else {
				m.end = m.x.expire(m.now, &testTiming)
			}
			if m.now.since(start) > time.Minute {
				t.Fatalf("no end: %+v", m.x)
			}
		}
		return lost, m.now.since(start)
	}
	lostWhole, tookWhole := run(0)
	lostPaced, tookPaced := run(16)
	t.Logf("whole windows: %d of %d blocks lost, %v; bursts of 16: %d lost, %v", lostWhole, blocks, tookWhole, lostPaced, tookPaced)
	if lostPaced != 0 || lostWhole < blocks/10 || tookPaced >= tookWhole {
		t.Error("pacing does not help")
	}
}

// TestPausesOfTheLoop has the worker hold back the rest of a window, by the clock that it keeps.
func TestPausesOfTheLoop(t *testing.T) {
	file := randomFile(100*1468, 1)
	w, client := byHand(t, Config{GSO: true, Burst: 2, NoPrefetch: true}, file)
	pass := func(d time.Duration) {
		w.server.epoch = w.server.epoch.Add(-d)
		w.now = w.server.clock()
	}
	e := w.endpoints[0]
	a := client.addr()
	d := &datagram{payload: rrq("f", "octet", "blksize", "1468", "windowsize", "8"), local: mapped([4]byte{127, 0, 0, 1}), ifindex: 1, unicast: true,
		from: peer{addr: mapped(a.Addr().As4()), port: a.Port()}}
	w.onRequest(e, d)
	answer := w.server.opener.open(<-w.server.opener.lookups)
	w.onFound(&answer)
	w.sendRound(e)
	client.recv()
	pass(20 * time.Second) // no pause of it is mistaken for a slow test
	d.payload = ackPacket(0)
	w.onPacket(e, d)
	for first := 1; first <= 7; first += 2 {
		w.sendRound(e)
		client.expectBlocks(file, 1468, first, first+1)
		w.expire()
		w.sendRound(e)
		if !client.empty() {
			t.Fatalf("no pause after block %d", first+1)
		}
		if wait := w.wait(); wait <= 0 {
			t.Fatalf("the loop would sleep for %v", wait)
		}
		pass(6 * time.Second) // a quarter of the round trip, and what the test itself took of it
		w.expire()
	}
}

// TestServeCapped downloads at the rate that one client may have.
func TestServeCapped(t *testing.T) {
	file := randomFile(200_000, 2)
	b := serve(t, Config{GSO: true, PerClient: Limits{Bandwidth: 1_000_000}}, map[string][]byte{"f": file})
	var got bytes.Buffer
	c := tftptest.Client{Server: b.addr}
	if _, err := c.Get(t.Context(), tftptest.Request{Name: "f", Blksize: 1468, Window: 16}, &got); err != nil || !bytes.Equal(got.Bytes(), file) {
		t.Errorf("%v, %d bytes", err, got.Len())
	}
	if st := b.Stats(); st.Capped == 0 || st.Retransmits != 0 {
		t.Errorf("%+v", st)
	}
}
