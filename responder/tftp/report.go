package tftp

import (
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Bounds of the log.
const (
	reportBacklog = 1024        // lines that wait; more are lost
	reportPeriod  = time.Minute // in which the same client, file and outcome are logged once
	reportMemory  = 4096        // of those in a period; more are not logged
)

// report is what there is to log about one request.
type report struct {
	client      netip.AddrPort
	file        string
	how         Outcome
	err         error
	size, sent  int64
	took        time.Duration
	retransmits uint32
	upload      bool
}

// reporter writes log lines beside the event loops.
type reporter struct {
	logger *zap.Logger
	lines  chan report
	done   sync.WaitGroup

	since time.Time
	seen  map[reportKey]struct{}
}

type reportKey struct {
	client netip.Addr
	file   string
	how    Outcome
}

func newReporter(logger *zap.Logger) *reporter {
	return &reporter{logger: logger, lines: make(chan report, reportBacklog), seen: map[reportKey]struct{}{}}
}

func (r *reporter) start() {
	r.done.Go(func() {
		for l := range r.lines {
			if l.how == Complete || r.first(&l, time.Now()) {
				r.write(&l)
			}
		}
	})
}

func (r *reporter) stop() {
	close(r.lines)
	r.done.Wait()
}

// level returns the level of an outcome's line: a probe is how edk2 asks for a
// size, a missing file how PXELINUX looks for its configuration.
func level(how Outcome) zapcore.Level {
	switch how {
	case Probe, Superseded, NotRequest, NotUnicast, Stopped:
		return zap.DebugLevel
	case Complete, NotFound, IsDirectory, NotAllowed, Aborted:
		return zap.InfoLevel
	}
	return zap.WarnLevel
}

// wants says whether lines about an outcome are written at all.
func (r *reporter) wants(how Outcome) bool { return r.logger.Core().Enabled(level(how)) }

// put hands a line over; it does not wait.
func (r *reporter) put(l report) {
	select {
	case r.lines <- l:
	default:
	}
}

// first says whether nothing like l was logged in this period.
func (r *reporter) first(l *report, now time.Time) bool {
	if now.Sub(r.since) >= reportPeriod {
		r.since = now
		clear(r.seen)
	}
	key := reportKey{l.client.Addr(), l.file, l.how}
	if l.how.Silent() {
		key.file = "" // once per client, whatever it asks for
	}
	if _, ok := r.seen[key]; ok || len(r.seen) >= reportMemory {
		return false
	}
	r.seen[key] = struct{}{}
	return true
}

func (r *reporter) write(l *report) {
	message := "request not served"
	fields := []zap.Field{zap.Stringer("client", l.client), zap.String("file", l.file), zap.Stringer("outcome", l.how)}
	if l.how < NotFound {
		message = "transfer ended"
		fields = append(fields, zap.Int64("size", l.size), zap.Int64("acknowledged", l.sent),
			zap.Duration("took", l.took), zap.Uint32("retransmits", l.retransmits))
	}
	if l.upload {
		fields = append(fields, zap.Bool("upload", true))
	}
	if l.err != nil {
		fields = append(fields, zap.Error(l.err))
	}
	r.logger.Log(level(l.how), message, fields...)
}
