package tftp

import "time"

// instant is a point on the monotonic clock, in nanoseconds.
type instant int64

// never is later than anything.
const never = instant(1 << 62)

func (t instant) add(d time.Duration) instant   { return t + instant(d) }
func (t instant) since(u instant) time.Duration { return time.Duration(t - u) }

// timing are the waits of all transfers.
type timing struct {
	initial    time.Duration // before the first round trip is known
	floor      time.Duration // once it is
	ceiling    time.Duration // of the back-off, where the client negotiated none
	giveUp     time.Duration // silence that ends a transfer
	unanswered time.Duration // the same, as long as the client has acknowledged nothing at all
}

// restartAfter is how long a transfer must have stood still for the same request
// to count as a client that starts over and not as a late duplicate.
const restartAfter = time.Second

// rto returns the wait for an answer (RFC 6298): the estimate, doubled for each
// retransmission since the last sample.
//
// A negotiated timeout (RFC 2349) is the server's: it stands in for the initial
// wait and for the ceiling. Where the round trip is known to be shorter, so is
// the wait: U-Boot asks for 5 s whatever the network, and would stand still for
// as long after each lost block; a block that comes again too early costs a
// client nothing that a network may not do to it as well. Until the first
// acknowledgement nothing is negotiated.
func (t *transfer) rto(tm *timing) time.Duration {
	wait, ceiling := tm.initial, tm.ceiling
	if t.answered && t.grant.timeout != 0 {
		ceiling = time.Duration(t.grant.timeout) * time.Second
		wait = ceiling
	}
	if estimate, ok := t.rtt.timeout(); ok {
		wait = max(estimate, tm.floor)
	}
	return min(wait<<min(t.tries, 20), ceiling)
}

// patience returns how long a silent client is kept. One that never acknowledged
// anything may be a forged address.
func (t *transfer) patience(tm *timing) time.Duration {
	if !t.answered {
		return min(tm.unanswered, tm.giveUp)
	}
	return max(tm.giveUp, 4*time.Duration(t.grant.timeout)*time.Second)
}

// roundTrip is what is known of the way to a client and back. All times are in
// microseconds; smoothed and variation are scaled as in RFC 6298, appendix A of
// Jacobson's paper: the divisions by 8 and 4 then lose nothing.
type roundTrip struct {
	smoothed  uint32 // SRTT, times 8
	variation uint32 // RTTVAR, times 4
	shortest  uint32 // 0: nothing yet
	samples   uint8  // up to enoughSamples
}

const (
	// enoughSamples is how many make the shortest one worth something: clients are
	// slow at first, when they open files and allocate memory.
	enoughSamples = 8
	// longestSample is more than any wait; it keeps the scaled values within 32 bits.
	longestSample = time.Minute
)

// sample takes the time between a packet and its answer, where the answer cannot
// belong to an earlier copy of it (Karn's rule).
func (r *roundTrip) sample(d time.Duration) {
	us := uint32(max(min(d, longestSample).Microseconds(), 1))
	if r.shortest == 0 {
		r.shortest = us
		r.smoothed, r.variation = 8*us, 2*us // SRTT = R, RTTVAR = R/2
	} else {
		r.shortest = min(r.shortest, us)
		distance := int64(us) - int64(r.smoothed/8)
		r.variation = uint32(int64(r.variation) + max(distance, -distance) - int64(r.variation/4))
		r.smoothed = uint32(int64(r.smoothed) + distance)
	}
	r.samples = min(r.samples+1, enoughSamples)
}

// timeout returns SRTT + 4 RTTVAR, if there is a sample.
func (r *roundTrip) timeout() (time.Duration, bool) {
	return r.estimate() + time.Duration(r.variation)*time.Microsecond, r.shortest != 0
}

// estimate returns SRTT, 0 if nothing is known.
func (r *roundTrip) estimate() time.Duration {
	return time.Duration(r.smoothed) * time.Microsecond / 8
}

// tooSoon says that what came d after a packet cannot be about it: it took less
// than half of the shortest round trip.
func (r *roundTrip) tooSoon(d time.Duration) bool {
	return r.samples >= enoughSamples && d < time.Duration(r.shortest)*time.Microsecond/2
}
