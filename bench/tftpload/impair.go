package tftpload

import (
	"math/rand/v2"
	"time"
)

// Impairment is what happens to packets of one direction on their way, before
// the client sees the server's and after it sent its own. Shares are between 0
// and 1 and drawn for each packet on its own.
type Impairment struct {
	Loss      float64
	Duplicate float64
	Reorder   float64       // share that comes ReorderBy later, behind what follows it
	ReorderBy time.Duration // 0: 1 ms
	Delay     time.Duration // of every packet
	Jitter    time.Duration // up to so much more, evenly
}

// active says whether there is anything to do.
func (i *Impairment) active() bool {
	return i.Loss > 0 || i.Duplicate > 0 || i.Reorder > 0 || i.Delay > 0 || i.Jitter > 0
}

// fate is what becomes of one packet: copies and the delay of each.
type fate struct {
	copies int
	delay  [2]time.Duration
}

// draw decides about one packet. It draws the same number of random values
// for each, so that one share does not change what another one hits.
func (i *Impairment) draw(random *rand.PCG) fate {
	lost, twice, late := chance(random, i.Loss), chance(random, i.Duplicate), chance(random, i.Reorder)
	d := i.Delay + time.Duration(uniform(random)*float64(i.Jitter))
	if lost {
		return fate{}
	}
	if late {
		by := i.ReorderBy
		if by == 0 {
			by = time.Millisecond
		}
		d += by
	}
	f := fate{copies: 1, delay: [2]time.Duration{d, d}}
	if twice {
		f.copies = 2
	}
	return f
}

func uniform(random *rand.PCG) float64 { return float64(random.Uint64()>>11) / (1 << 53) }

func chance(random *rand.PCG, share float64) bool { return uniform(random) < share }
