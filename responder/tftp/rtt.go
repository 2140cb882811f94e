package tftp

import "time"

// instant is a point on the monotonic clock, in nanoseconds.
type instant int64

func (t instant) add(d time.Duration) instant   { return t + instant(d) }
func (t instant) since(u instant) time.Duration { return time.Duration(t - u) }

// timing are the waits of all transfers.
type timing struct {
	initial, max, giveUp time.Duration
}

// restartAfter is how long a transfer must have stood still for the same request
// to count as a client that starts over and not as a late duplicate.
const restartAfter = time.Second

// rto returns the wait for an answer after tries retransmissions. A negotiated
// timeout is the server's (RFC 2349) and is kept as it is.
func (tm *timing) rto(g *grant, tries uint8) time.Duration {
	if g.timeout != 0 {
		return time.Duration(g.timeout) * time.Second
	}
	return min(tm.initial<<min(tries, 20), tm.max)
}

// patience returns how long a silent client is kept.
func (tm *timing) patience(g *grant) time.Duration {
	return max(tm.giveUp, 4*time.Duration(g.timeout)*time.Second)
}

// roundTrip is what is known of the way to a client and back.
type roundTrip struct {
	shortest uint32 // microseconds; 0: nothing yet
	samples  uint8  // up to enoughSamples
}

// enoughSamples is how many make the shortest one worth something: clients are
// slow at first, when they open files and allocate memory.
const enoughSamples = 8

// sample takes the time between a packet and its answer, where the answer cannot
// belong to an earlier copy of it (Karn's rule).
func (r *roundTrip) sample(d time.Duration) {
	us := uint32(min(max(d.Microseconds(), 1), 1<<31))
	if r.shortest == 0 || us < r.shortest {
		r.shortest = us
	}
	r.samples = min(r.samples+1, enoughSamples)
}

// tooSoon says that what came d after a packet cannot be about it: it took less
// than half of the shortest round trip.
func (r *roundTrip) tooSoon(d time.Duration) bool {
	return r.samples >= enoughSamples && d < time.Duration(r.shortest)*time.Microsecond/2
}
