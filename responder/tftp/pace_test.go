package tftp

import (
	"testing"
	"time"
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
