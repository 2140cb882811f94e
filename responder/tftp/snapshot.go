package tftp

import (
	"context"
	"net/netip"
	"time"
)

// Transfers returns the running transfers, in no order. It waits for each
// worker's loop to come round, or for ctx to end: those of a loop that hangs
// until then are not among them. They are copied there and described here.
func (s *Server) Transfers(ctx context.Context) []TransferInfo {
	if s.state.Load() != serving {
		return nil
	}
	copies := make([]chan []slotCopy, len(s.workers))
	for i, w := range s.workers {
		copies[i] = make(chan []slotCopy, 1)
		w.order(func(w *worker) {
			if ctx.Err() == nil {
				copies[i] <- w.copySlots()
			}
		})
	}
	var all []TransferInfo
	for i, w := range s.workers {
		select {
		case c := <-copies[i]:
			for i := range c {
				all = append(all, c[i].info(s.epoch))
			}
		case <-w.gone:
		case <-ctx.Done():
		}
	}
	return append(all, s.aside.transfers()...)
}

// Hung returns how many loops have not come round for longer than limit, which
// should be many a Turn: a page that comes from a slow disk stops a loop too.
func (s *Server) Hung(now time.Time, limit time.Duration) (n int) {
	if s.state.Load() != serving {
		return 0
	}
	at := instant(now.Sub(s.epoch))
	for _, w := range s.workers {
		select {
		case <-w.gone:
			continue
		default:
		}
		if turned := instant(w.turned.Load()); turned != 0 && at.since(turned) > limit {
			n++
		}
	}
	return n
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
