package responder

import (
	"context"
	"encoding/hex"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/xdpxe/xdpxe/responder/packet"
)

const (
	queued      = 1024 // events between workers and the journal; beyond it they are dropped and counted
	remembered  = 256  // events that Recent returns
	known       = 8192 // outcomes that are told apart within a minute
	linesPerSec = 50   // log lines; a flood of random clients must not fill the disk
)

// Journal keeps the last events and writes each client's outcome to the log,
// at most once a minute.
type Journal struct {
	log       *zap.Logger
	diagnoses *Diagnoses
	events    chan Event
	dropped   atomic.Uint64 // events that found the queue full or the log's rate used up

	seen   map[uint64]time.Time
	second int64
	lines  int

	mu     sync.Mutex
	recent [remembered]Event
	next   int
	count  int
}

func newJournal(log *zap.Logger, d *Diagnoses) *Journal {
	return &Journal{log: log, diagnoses: d, events: make(chan Event, queued), seen: make(map[uint64]time.Time)}
}

// offer hands an event over without waiting.
func (j *Journal) offer(e Event) {
	select {
	case j.events <- e:
	default:
		j.dropped.Add(1)
	}
}

// Dropped returns how many events were neither kept nor logged.
func (j *Journal) Dropped() uint64 { return j.dropped.Load() }

// Recent returns the last events, newest first.
func (j *Journal) Recent() []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Event, 0, j.count)
	for i := range j.count {
		out = append(out, j.recent[(j.next-1-i+remembered)%remembered])
	}
	return out
}

func (j *Journal) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-j.events:
			j.record(e)
		}
	}
}

// record keeps and logs one event, unless the same outcome of that client is younger than a minute.
func (j *Journal) record(e Event) {
	h := outcomeHash(e.MAC[:e.MACLen], uint8(e.Stage), uint8(e.Reason), uint32(e.Notes))
	if last, ok := j.seen[h]; ok && e.Time.Sub(last) < quietFor {
		return
	}
	if len(j.seen) >= known {
		j.forget(e.Time)
	}
	if s := e.Time.Unix(); s != j.second {
		j.second, j.lines = s, 0
	}
	if j.lines >= linesPerSec || len(j.seen) >= known {
		j.dropped.Add(1)
		return
	}
	j.lines++
	j.seen[h] = e.Time

	j.mu.Lock()
	j.recent[j.next] = e
	j.next = (j.next + 1) % remembered
	j.count = min(j.count+1, remembered)
	j.mu.Unlock()

	if ce := j.log.Check(level(&e), message(&e)); ce != nil {
		ce.Write(e.fields()...)
	}
	j.diagnoses.inspect(&e)
}

// forget drops outcomes that may be logged again anyway.
func (j *Journal) forget(now time.Time) {
	for h, at := range j.seen {
		if now.Sub(at) >= quietFor {
			delete(j.seen, h)
		}
	}
}

// level: answers and decided silences are what an operator looks for; what
// was never meant for us is noise on any network with DHCP.
func level(e *Event) zapcore.Level {
	switch e.Reason {
	case packet.NotPXE, packet.BOOTP, packet.WrongType, packet.LeaseRequest, packet.NotRequest, packet.OtherServer:
		return zapcore.DebugLevel
	case packet.NoBuffer, packet.SendError, packet.ReplyTooLong:
		return zapcore.WarnLevel
	}
	return zapcore.InfoLevel
}

func message(e *Event) string {
	if e.Reason == packet.Answered {
		return "answered"
	}
	return "no answer"
}

func (e *Event) fields() []zap.Field {
	f := []zap.Field{
		zap.String("client", e.Client()), zap.Stringer("stage", e.Stage), zap.String("iface", e.Iface), zap.String("tier", e.Tier),
	}
	if e.HasUUID {
		f = append(f, zap.String("uuid", e.GUID()))
	}
	if e.Relay.IsValid() {
		f = append(f, zap.Stringer("relay", e.Relay))
	}
	f = append(f, zap.String("xid", hex.EncodeToString([]byte{byte(e.XID >> 24), byte(e.XID >> 16), byte(e.XID >> 8), byte(e.XID)})))
	if e.Reason != packet.Answered {
		f = append(f, zap.Stringer("reason", e.Reason))
	}
	if e.Detail != "" {
		f = append(f, zap.String("detail", e.Detail))
	}
	if e.Deployment != "" {
		f = append(f, zap.String("deployment", e.Deployment))
	}
	if e.Rule != "" {
		f = append(f, zap.String("rule", e.Rule))
	}
	if e.File != "" {
		f = append(f, zap.Stringer("arch", e.Arch), zap.String("profile", e.Profile), zap.String("file", e.File))
	}
	return f
}

// Client returns the client's hardware address.
func (e *Event) Client() string { return net.HardwareAddr(e.MAC[:e.MACLen]).String() }

// GUID returns option 97 as hex digits in wire order, empty without one.
func (e *Event) GUID() string {
	if !e.HasUUID {
		return ""
	}
	return hex.EncodeToString(e.UUID[:])
}
