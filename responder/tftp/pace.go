package tftp

import "time"

// A window need not leave as one burst at the speed of our link: the client's,
// or the buffer of a switch before it, may be a hundredth as fast. With
// grant.burst, no more than so many blocks leave at once, and the bursts of a
// window are spread over the round trip.

// minPause is the shortest pause between bursts: the kernel's timers are no better.
const minPause = 50 * time.Microsecond

// burstEnd is one past the last block that may be sent now.
func (t *transfer) burstEnd() uint64 {
	end := t.windowEnd()
	if t.grant.burst != 0 {
		end = min(end, t.next+uint64(t.grant.burst-t.inBurst))
	}
	return end
}

// pace takes note that the blocks from next up to but not including to leave,
// and decides when the next ones may.
func (t *transfer) pace(to uint64, now instant) {
	if t.grant.burst == 0 {
		return
	}
	t.inBurst += uint16(to - t.next)
	if t.inBurst < t.grant.burst {
		return
	}
	t.newBurst()
	if to >= t.windowEnd() {
		return
	}
	if pause := t.rtt.estimate() * time.Duration(t.grant.burst) / time.Duration(t.grant.window); pause >= minPause {
		t.resume = now.add(pause)
	}
}

func (t *transfer) newBurst() { t.inBurst, t.resume = 0, 0 }
