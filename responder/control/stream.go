package control

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

const (
	captureQueue = 4096 // frames between workers and the client; beyond it they are dropped and counted
	snapLen      = 65535

	// droppedTrailer carries how many frames a capture could not keep up with.
	droppedTrailer = "Xdpxe-Dropped"
)

// capture streams frames until the client closes its sending half, the
// connection or the daemon ends.
func (s *Server) capture(w http.ResponseWriter, r *http.Request) {
	iface := r.URL.Query().Get("iface")
	if s.opts.Tap == nil {
		http.Error(w, "captures are not available", http.StatusNotFound)
		return
	}
	if !s.serves(iface) {
		http.Error(w, fmt.Sprintf("the daemon does not serve interface %q", iface), http.StatusNotFound)
		return
	}
	if s.captures.Add(1) > maxCaptures {
		s.captures.Add(-1)
		http.Error(w, fmt.Sprintf("%d captures are running already", maxCaptures), http.StatusServiceUnavailable)
		return
	}
	defer s.captures.Add(-1)

	frames := make(chan Frame, captureQueue)
	var dropped atomic.Uint64
	cancel := s.opts.Tap.Subscribe(iface, func(f Frame) {
		select {
		case frames <- f:
		default:
			dropped.Add(1)
			s.drops.Add(1)
		}
	})
	defer cancel()

	w.Header().Set("Content-Type", "application/vnd.tcpdump.pcap")
	w.Header().Set("Trailer", droppedTrailer)
	err := stream(w, r, frames)
	if err == nil {
		w.Header().Set(droppedTrailer, strconv.FormatUint(dropped.Load(), 10))
	}
}

// stream writes the pcap header and then frames, many to a write, until the request ends.
func stream(w http.ResponseWriter, r *http.Request, frames <-chan Frame) error {
	buf := bufio.NewWriterSize(w, 64<<10)
	flush := func() error {
		extend(w)
		if err := buf.Flush(); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	pw := pcapgo.NewWriterNanos(buf)
	if err := pw.WriteFileHeader(snapLen, layers.LinkTypeEthernet); err != nil {
		return err
	}
	for {
		if len(frames) == 0 {
			if err := flush(); err != nil {
				return err
			}
		}
		select {
		case <-r.Context().Done():
			return writeRest(pw, frames, flush)
		case f := <-frames:
			extend(w)
			if err := write(pw, f); err != nil {
				return err
			}
		}
	}
}

// writeRest writes what was captured before the end.
func writeRest(pw *pcapgo.Writer, frames <-chan Frame, flush func() error) error {
	for range len(frames) {
		if err := write(pw, <-frames); err != nil {
			return err
		}
	}
	return flush()
}

func write(pw *pcapgo.Writer, f Frame) error {
	n := min(len(f.Data), snapLen)
	return pw.WritePacket(gopacket.CaptureInfo{Timestamp: f.Time, CaptureLength: n, Length: len(f.Data)}, f.Data[:n])
}

// serves reports whether the daemon has the interface.
func (s *Server) serves(iface string) bool {
	for _, i := range s.opts.Source.Snapshot().Interfaces {
		if i.Name == iface {
			return true
		}
	}
	return false
}
