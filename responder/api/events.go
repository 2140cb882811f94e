package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/xdpxe/xdpxe/responder/history"
)

const (
	maxSubscribers = 24
	heartbeat      = 15 * time.Second // so that both sides find out that the other is gone
	maxFlush       = 32 << 10         // bytes that are written at a time, about
)

// events streams what happens, as server-sent events, until the client or the
// daemon ends it. The client has patience for each write: then it is gone.
func (a *api) events(w http.ResponseWriter, r *http.Request) error {
	machine, err := identityParam(r, "machine")
	if err != nil {
		return err
	}
	if a.o.History == nil {
		return problem(http.StatusNotFound, CodeNotFound, "this daemon keeps no timeline")
	}
	if a.subscribers.Add(1) > maxSubscribers {
		a.subscribers.Add(-1)
		return problem(http.StatusServiceUnavailable, CodeBusy, fmt.Sprintf("%d clients follow the events already", maxSubscribers))
	}
	defer a.subscribers.Add(-1)
	s, cancel := a.o.History.Subscribe(machine)
	defer cancel()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	sse := &eventWriter{w: w, rc: http.NewResponseController(w)}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	var told uint64
	sse.buf.WriteString(": from now on\n\n")
	for {
		if sse.flush() != nil {
			return nil // it is gone, or does not read
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-beat.C:
			sse.buf.WriteString(": \n\n")
		case e := <-s.C():
			// What is there already goes with it.
			for more := true; more; e, more = next(s.C(), sse.buf.Len()) {
				sse.write(EventEntry, e)
			}
		}
		if n := s.Dropped(); n != told {
			sse.write(EventDropped, Dropped{n - told})
			told = n
		}
	}
}

// next returns an event that is there already, if there is room for it.
func next(events <-chan history.Told, size int) (e history.Told, ok bool) {
	if size >= maxFlush {
		return e, false
	}
	select {
	case e = <-events:
		return e, true
	default:
		return e, false
	}
}

// eventWriter gathers events and writes them together.
type eventWriter struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	buf bytes.Buffer
}

func (s *eventWriter) write(name string, data any) {
	text, err := json.Marshal(data)
	if err != nil { // a time outside of the years that JSON has
		return
	}
	fmt.Fprintf(&s.buf, "event: %s\ndata: %s\n\n", name, text)
}

func (s *eventWriter) flush() error {
	s.rc.SetWriteDeadline(time.Now().Add(patience))
	_, err := s.w.Write(s.buf.Bytes())
	s.buf.Reset()
	if err != nil {
		return err
	}
	return s.rc.Flush()
}
