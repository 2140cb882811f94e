package xsk

// stalls is how many kicks in a row may send nothing before Flush leaves the
// rest to the next one.
const stalls = 8

// Flush makes the kernel send what is on the TX ring: one system call in
// zero-copy mode, one for every 32 frames in copy mode, which is the kernel's
// budget a call. What a full queue keeps from leaving after a bounded number
// of tries stays on the ring and is counted (Stats.Deferred). A device that is
// down or gone is an error that satisfies errors.Is(err, ENETDOWN).
func (s *Socket) Flush() error {
	s.mu.Lock()
	defer s.unlock()
	if s.closed.Load() {
		return ErrClosed
	}
	if s.info.ZeroCopy {
		return s.wakeDriver()
	}
	left := s.tx.pending()
	for stalled := 0; left > 0; {
		errno := kickTx(s.fd)
		if errno != 0 && !retryable(errno) {
			return s.deviceError(errno)
		}
		s.reap() // a full completion ring is one of the reasons for EAGAIN
		now := s.tx.pending()
		if now < left {
			stalled = 0
		} else if stalled++; stalled == stalls {
			s.deferred.Add(1)
			return nil
		}
		left = now
	}
	return nil
}

// wakeDriver tells a zero-copy driver to look at the TX ring, if it wants to be told.
func (s *Socket) wakeDriver() error {
	if s.tx.pending() == 0 || !s.tx.needWakeup() {
		return nil
	}
	for range stalls {
		errno := kickTx(s.fd)
		if errno == 0 {
			return nil
		}
		if !retryable(errno) {
			return s.deviceError(errno)
		}
	}
	s.deferred.Add(1)
	return nil
}
