package tftp

import (
	"net/netip"
	"time"
)

// Transfers returns the running transfers, in no order. It waits for each
// worker's loop to come round; they are copied there and described here.
func (s *Server) Transfers() []TransferInfo {
	if s.state.Load() != serving {
		return nil
	}
	var all []TransferInfo
	for _, w := range s.workers {
		copies := make(chan []slotCopy, 1)
		w.order(func(w *worker) { copies <- w.copySlots() })
		select {
		case c := <-copies:
			for i := range c {
				all = append(all, c[i].info(s.epoch))
			}
		case <-w.gone:
		}
	}
	return append(all, s.handover.transfers()...)
}

// slotCopy is a running transfer as it was at some time.
type slotCopy struct {
	slot
	path string
	tid  uint16
}

func (w *worker) copySlots() []slotCopy {
	copies := make([]slotCopy, 0, w.running)
	w.table.each(func(id slotID, s *slot) {
		if s.phase == ended || s.phase == waiting {
			return
		}
		c := slotCopy{slot: *s, tid: w.endpoints[s.peer.endpoint].tid}
		if f := w.table.file(id); f != nil {
			c.path = f.Path()
		}
		copies = append(copies, c)
	})
	return copies
}

func (c *slotCopy) info(epoch time.Time) TransferInfo {
	return TransferInfo{
		Client: c.peer.addrPort(), Server: netip.AddrPortFrom(netip.AddrFrom16(c.local).Unmap(), c.tid),
		File: c.path, Size: c.size, Offset: c.acknowledged(),
		Blksize: int(c.grant.blksize), Window: int(c.grant.window),
		Started: epoch.Add(time.Duration(c.started)), RTT: c.rtt.estimate(),
		Retransmits: uint64(c.retransmits),
	}
}
