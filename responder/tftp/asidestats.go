package tftp

import (
	"errors"
	"os"
	"syscall"

	"github.com/xdpxe/xdpxe/responder/tftp/legacy"
)

// end counts and reports how a request has ended.
func (h *aside) end(t *session, name string, how Outcome, err error) {
	h.over(t)
	if path := t.progress.Path(); path != "" {
		name = path
	}
	bytes := uint64(t.progress.Bytes())
	h.counters.outcomes[how].Add(1)
	switch {
	case !t.write:
		h.counters.bytes.Add(bytes)
	case how == Complete:
		h.uploads.Add(1)
		fallthrough
	default:
		h.received.Add(bytes)
	}
	if t.follow != nil {
		e := Ending{Outcome: how, Confirmed: how == Complete, Acknowledged: int64(bytes)}
		if err != nil {
			e.Why = err.Error()
		}
		t.follow.tell(tiding{kind: tellEnded, ending: e})
	}
	if h.server.reports.wants(how) {
		h.server.reports.put(report{client: t.peer.addrPort(), file: name, how: how, err: err, upload: t.write,
			size: t.progress.Size(), sent: int64(bytes), took: t.ended.Sub(t.started)})
	}
}

// add adds to a Server's totals.
func (h *aside) add(s *Stats) {
	if h == nil {
		return
	}
	h.counters.add(s)
	s.Uploads, s.Received = h.uploads.Load(), h.received.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Active += h.active
}

// transfers describes what runs.
func (h *aside) transfers() (all []TransferInfo) {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.running {
		if t.ended.IsZero() {
			all = append(all, TransferInfo{
				Client: t.peer.addrPort(), Server: t.server, File: t.progress.Path(), Upload: t.write, Size: t.progress.Size(), Offset: t.progress.Bytes(),
				Blksize: t.blksize, Window: 1, Started: t.started,
			})
		}
	}
	return all
}

// legacyOutcome says how a request ended.
func legacyOutcome(err error) Outcome {
	for _, e := range []struct {
		err error
		how Outcome
	}{
		{legacy.ErrAborted, Aborted}, {legacy.ErrSilent, TimedOut}, {legacy.ErrUnreachable, Unreachable}, {legacy.ErrStopped, Stopped},
		{legacy.ErrChanged, FileChanged}, {legacy.ErrIncomplete, Incomplete}, {legacy.ErrBusy, Busy},
		{legacy.ErrExists, Exists}, {legacy.ErrLimit, OverLimit}, {syscall.ENOSPC, OverLimit}, {syscall.EDQUOT, OverLimit}, {os.ErrPermission, NoPermission},
	} {
		if errors.Is(err, e.err) {
			return e.how
		}
	}
	var g *gateError
	switch {
	case err == nil:
		return Complete
	case errors.As(err, &g):
		return g.how
	}
	return lookupOutcome(err)
}
