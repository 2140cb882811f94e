package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader"
	"github.com/xdpxe/xdpxe/responder/publish"
)

const (
	// watchTX is how often the driver is asked for replies that it lost.
	watchTX = time.Second
	// probeTX is how often it is tried whether replies leave the interface.
	probeTX = 5 * time.Second
)

// wayBack watches whether replies that the XDP program sends leave the
// interface. Where they do not, the kernel gives no answers.
type wayBack struct {
	port *port
	o    *opened
	why  string // they do not; empty: they do
}

func (p *port) newWayBack(o *opened) *wayBack {
	w := &wayBack{port: p, o: o}
	w.probe()
	return w
}

// probe tries it.
func (w *wayBack) probe() {
	tx, err := w.o.path.ProbeTX()
	switch {
	case err != nil:
		w.why = "whether XDP_TX works cannot be found out: " + err.Error()
	case !tx.OK:
		w.why = "XDP_TX is not seen to work: " + tx.Why
	default:
		w.why = ""
	}
}

// look asks what became of the replies since the last time.
func (w *wayBack) look() {
	counts, err := w.o.path.Counters()
	if err != nil {
		return // the next probe says more
	}
	if why, err := w.o.path.WatchTX(counts[bpf.Answered.String()]); err == nil && why != "" {
		w.why = "XDP_TX is not seen to work: " + why
	}
}

// limits says where the kernel leaves answers to workers.
func (w *wayBack) limits() (l publish.Limits) {
	l.Discover, l.BootServer = w.why, w.why
	if i := w.o.path.Info(); i.Deliver == loader.Tee {
		l.Discover = "deliver is tee, so that others see DISCOVERs, too"
	}
	return l
}

// open lets the program answer where there are no limits.
func (w *wayBack) open(l publish.Limits) error {
	return w.o.path.SetAnswer(l.Discover == "", l.BootServer == "")
}

// watch goes on until ctx ends.
func (w *wayBack) watch(ctx context.Context) error {
	tick := time.NewTicker(watchTX)
	defer tick.Stop()
	was := w.limits()
	for probed := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if now.Sub(probed) < probeTX {
				w.look()
			} else {
				w.probe()
				probed = now
			}
		}
		is := w.limits()
		if is == was {
			continue
		}
		if err := w.open(is); err != nil {
			return err
		}
		w.port.kernel.Limit(is)
		if w.why != "" {
			w.port.log.Warn("answers are not given in the kernel", zap.String("because", w.why))
		} else {
			w.port.log.Info("answers are given in the kernel")
		}
		was = is
	}
}
