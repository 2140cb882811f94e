package responder

import (
	"time"

	"golang.org/x/sys/unix"
)

// slice is the turn of the processor that a worker's thread asks for. Requests
// take microseconds; the scheduler's default is milliseconds.
const slice = 100 * time.Microsecond

// shortTurns lets the calling thread get the processor soon when a packet wakes
// it, also where another program fills that processor: EEVDF runs first whose
// turn ends first, and a short one ends soon (sched_setattr(2); Linux 6.12 and
// newer, older ones take no notice). It takes no share from anybody, needs no
// privilege, and a kernel that refuses it only answers later.
func shortTurns() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return
	}
	attr.Runtime = uint64(slice)
	_ = unix.SchedSetAttr(0, attr, 0)
}
