package tftp

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// Stats are a Server's totals since Listen, but for Active and Queued.
type Stats struct {
	Active   int    // transfers that run now, those whose file is being looked up included
	Restored uint64 // transfers of a former process that went on
	Lost     uint64 // transfers of a former process that could not go on
	Queued   int    // requests that wait for a place now
	Requests uint64 // read and write requests received
	Repeated uint64 // requests that repeated one in progress
	// Outcomes counts the requests that have ended, by how. Outcomes[Outcome(0)] is 0.
	Outcomes    [NumOutcomes]uint64
	Waited      uint64 // requests that had to wait for a place
	Uploads     uint64 // of Complete: files that clients have written
	Received    uint64 // bytes of uploads, those that failed included
	Unconfirmed uint64 // of Complete: the final acknowledgement never came
	Bytes       uint64 // file bytes sent, retransmissions included
	Blocks      uint64 // DATA packets sent, retransmissions included
	Retransmits uint64 // DATA packets sent again
	Timeouts    uint64 // retransmission timers that expired
	Strangers   uint64 // packets to a data port that belong to no transfer
	Capped      uint64 // messages that a bandwidth cap held back
	SendErrors  uint64 // messages that the kernel refused
	Dropped     uint64 // datagrams that the kernel dropped because a socket's buffer was full
	Loads       uint64 // pieces of files (content.ChunkSize) that were read from the disk
	Waits       uint64 // times that a transfer waited for one
	Faults      uint64 // times that a loop itself waited for the disk
}

// TransferInfo describes one running transfer.
type TransferInfo struct {
	Client      netip.AddrPort
	Server      netip.AddrPort // our address and the TID
	File        string         // path below the root; empty while it is being looked up
	Upload      bool           // the client writes
	Size        int64          // bytes; of an upload, as announced: 0 if it was not
	Offset      int64          // bytes acknowledged, or received
	Blksize     int            // bytes
	Window      int            // blocks
	Started     time.Time
	RTT         time.Duration // smoothed round trip; 0: none yet
	Retransmits uint64        // DATA packets sent again
}

// Rate returns the bytes a second that were acknowledged, or received, from the
// start of the transfer to now.
func (t *TransferInfo) Rate(now time.Time) float64 {
	took := now.Sub(t.Started).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(t.Offset) / took
}

// counters are one worker's totals; only its loop writes them.
type counters struct {
	requests, repeated, waited, capped       atomic.Uint64
	outcomes                                 [NumOutcomes]atomic.Uint64
	unconfirmed, bytes, blocks, retransmits  atomic.Uint64
	timeouts, strangers, sendErrors, dropped atomic.Uint64
	waits, faults                            atomic.Uint64
}

// add adds a worker's totals to s.
func (c *counters) add(s *Stats) {
	s.Requests += c.requests.Load()
	s.Repeated += c.repeated.Load()
	s.Waited += c.waited.Load()
	s.Capped += c.capped.Load()
	for o := range c.outcomes {
		s.Outcomes[o] += c.outcomes[o].Load()
	}
	s.Unconfirmed += c.unconfirmed.Load()
	s.Bytes += c.bytes.Load()
	s.Blocks += c.blocks.Load()
	s.Retransmits += c.retransmits.Load()
	s.Timeouts += c.timeouts.Load()
	s.Strangers += c.strangers.Load()
	s.SendErrors += c.sendErrors.Load()
	s.Dropped += c.dropped.Load()
	s.Waits += c.waits.Load()
	s.Faults += c.faults.Load()
}
