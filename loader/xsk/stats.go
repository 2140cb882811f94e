package xsk

import "golang.org/x/sys/unix"

// Stats are totals since Open.
type Stats struct {
	Received uint64 // frames given to the caller
	Sent     uint64 // frames taken for transmission
	Deferred uint64 // times that Flush left frames in the TX ring; a later Flush or Recv sends them
	Invalid  uint64 // descriptors from the kernel that named no frame it could have

	// The kernel's own (XDP_STATISTICS, linux/if_xdp.h).
	RxDropped     uint64 // no fill frame, or a packet larger than a frame
	RxRingFull    uint64
	RxInvalid     uint64 // bad addresses in the fill ring
	TxInvalid     uint64 // bad descriptors in the TX ring
	FillRingEmpty uint64 // times that the kernel found no fill frame; in copy mode each is in RxDropped too
	TxRingEmpty   uint64 // times that the kernel found nothing to send
}

// Stats may be called from any goroutine. Once the socket is down it returns the last figures.
func (s *Socket) Stats() Stats {
	s.fds.RLock()
	defer s.fds.RUnlock()
	st := s.last
	if s.fd >= 0 {
		st = s.kernelStats()
	}
	st.Received, st.Sent = s.received.Load(), s.sent.Load()
	st.Deferred, st.Invalid = s.deferred.Load(), s.invalid.Load()
	return st
}

// kernelStats reads XDP_STATISTICS; s.fd must be open.
func (s *Socket) kernelStats() Stats {
	var x unix.XDPStatistics
	if err := getOption(s.fd, unix.XDP_STATISTICS, &x); err != nil {
		return s.last
	}
	return Stats{
		RxDropped: x.Rx_dropped, RxRingFull: x.Rx_ring_full, RxInvalid: x.Rx_invalid_descs,
		TxInvalid: x.Tx_invalid_descs, FillRingEmpty: x.Rx_fill_ring_empty_descs, TxRingEmpty: x.Tx_ring_empty_descs,
	}
}

// Account says where a socket's frames are. Each frame is in one place, so
// what the others leave over is with the kernel, between two rings: never less
// than nothing, and in copy mode nothing at all when no packet is under way.
// A zero-copy driver keeps posted frames in its own ring.
type Account struct {
	Frames                               int
	Free, Fill, Rx, Tx, Completion, Held int
	Kernel                               int
}

// Account counts the frames. It is the owner's to call, for tests and debugging; on a socket that is down it is zero.
func (s *Socket) Account() Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return Account{}
	}
	a := Account{
		Frames: len(s.umem.places), Free: len(s.umem.free), Held: s.umem.held,
		Fill: int(s.fill.pending()), Rx: int(s.rx.pending()),
		Tx: int(s.tx.pending()), Completion: int(s.comp.pending()),
	}
	a.Kernel = a.Frames - a.Free - a.Fill - a.Rx - a.Tx - a.Completion - a.Held
	return a
}
