package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader"
	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/publish"
)

// eventsEvery is how often the kernel's events are read: it wakes nobody for them.
const eventsEvery = 250 * time.Millisecond

// kernelSide lets a publisher use a datapath's templates.
type kernelSide struct{ path *loader.Datapath }

func (k kernelSide) IfIndex() int                  { return k.path.Info().IfIndex }
func (k kernelSide) Adopt() (uint64, error)        { return k.path.Adopt() }
func (k kernelSide) Keep(t *publish.Template) bool { return k.path.Keep(loaderTemplate(t)) }

func (k kernelSide) Former() (list []*publish.Template, err error) {
	held, err := k.path.Former()
	for _, l := range held {
		list = append(list, &publish.Template{
			Generation: l.Generation, Tag: l.Tag, Outcome: l.Outcome,
			Port: l.Port, VIDs: l.VIDs, Dst: l.Dst, Request: l.Request, Mask: l.Mask, UUIDAt: l.UUIDAt,
			Exact: l.Exact, CHAddr: l.CHAddr, UUID: l.UUID, Source: l.Source, CIAddr: l.CIAddr, Networks: l.Networks, Own: l.Own,
		})
	}
	return list, err
}

func (k kernelSide) Void() uint64       { return k.path.Void() }
func (k kernelSide) Generation() uint64 { return k.path.Generation() }
func (k kernelSide) StandAside(on bool) { k.path.StandAside(on) }

func (k kernelSide) Publish(t *publish.Template) error {
	err := k.path.Publish(loaderTemplate(t))
	switch {
	case errors.Is(err, loader.ErrGeneration), errors.Is(err, loader.ErrNoTemplates):
		return fmt.Errorf("%w: %w", publish.ErrVoid, err)
	case errors.Is(err, loader.ErrTemplatesFull):
		return fmt.Errorf("%w: %w", publish.ErrFull, err)
	case errors.Is(err, loader.ErrConflict):
		return fmt.Errorf("%w: %w", publish.ErrConflict, err)
	}
	return err
}

func (k kernelSide) Outcomes(sums *[publish.NumOutcomes]uint64) error {
	counts, err := k.path.Outcomes()
	if err != nil {
		return err
	}
	for i := range sums {
		sums[i] += counts[i]
	}
	return nil
}

// loaderTemplate is the same template in the loader's words.
func loaderTemplate(t *publish.Template) *loader.Template {
	l := &loader.Template{
		Generation: t.Generation, Tag: t.Tag, Outcome: t.Outcome,
		Port: t.Port, VIDs: t.VIDs, Dst: t.Dst, Request: t.Request, Mask: t.Mask, UUIDAt: t.UUIDAt,
		Exact: t.Exact, CHAddr: t.CHAddr, UUID: t.UUID, Source: t.Source, CIAddr: t.CIAddr, Networks: t.Networks, Own: t.Own,
		Reply: t.Reply, SrcMAC: t.SrcMAC, Broadcast: t.Broadcast,
		SrcIP: t.SrcIP, DstIP: t.DstIP, SrcPort: t.SrcPort, DstPort: t.DstPort,
	}
	for _, e := range t.Echoes {
		l.Echoes = append(l.Echoes, loader.Echo(e))
	}
	return l
}

// kernelOff says why the program answers nothing by itself; empty: it may.
func (p *port) kernelOff(o *opened) string {
	switch {
	case o.path.Mode() == loader.ModeNone:
		return "no XDP program is attached"
	case !p.opts.KernelAnswers:
		return "kernel: answers: off"
	}
	return ""
}

// serveKernel lets the kernel answer by itself until ctx ends, and returns
// what makes it stop.
func (p *port) serveKernel(ctx context.Context, group *errgroup.Group, o *opened) (stop func(), err error) {
	if p.kernelOff(o) != "" {
		return func() {}, o.path.EndFormer()
	}
	way := p.newWayBack(o)
	limits := way.limits()
	if err := way.open(limits); err != nil {
		return nil, err
	}
	kept, changed, err := p.kernel.Succeed(kernelSide{o.path}, limits, p.server.Answering)
	if kept == 0 { // else what the events' tags stand for may be known
		err = errors.Join(err, o.path.DropFormerEvents())
	}
	if err != nil {
		p.log.Warn("what a former daemon's templates did", zap.Error(err))
	}
	if kept+changed > 0 {
		p.log.Info("templates of the former daemon", zap.Int("kept", kept), zap.Int("changed", changed))
	}
	group.Go(func() error {
		p.kernel.Run(ctx, func(err error) { p.log.Warn("the kernel takes no template", zap.Error(err)) })
		return nil
	})
	group.Go(func() error { p.readEvents(ctx, o); return nil })
	group.Go(func() error { return way.watch(ctx) })
	return func() {
		if err := p.kernel.Detach(); err != nil {
			p.log.Warn("what the kernel answered last is not counted", zap.Error(err))
		}
	}, nil
}

// readEvents puts down what the kernel tells of what it answered, until ctx ends.
func (p *port) readEvents(ctx context.Context, o *opened) {
	look := time.NewTicker(eventsEvery)
	defer look.Stop()
	failed := false
	for ctx.Err() == nil {
		select {
		case <-ctx.Done(): // a last time
		case <-look.C:
		}
		now, clock := time.Now(), monotonic()
		err := o.path.Events(func(e *loader.Event) {
			told := kernelEvent(e, now.Add(time.Duration(e.KtimeNS-clock)))
			p.server.Told(p.opts.Iface, &told)
		})
		if err != nil && !failed {
			p.log.Warn("what the kernel answered is counted but not told", zap.Error(err))
			failed = true
		}
	}
}

func kernelEvent(e *loader.Event, at time.Time) responder.KernelEvent {
	told := responder.KernelEvent{
		Time: at, Tag: e.Tag, XID: binary.BigEndian.Uint32(e.XID[:]), MAC: e.CHAddr, MACLen: e.HLen, HasUUID: e.HasUUID != 0, UUID: e.UUID,
		Src: netip.AddrPortFrom(netip.AddrFrom4(e.Src), e.SrcPort),
	}
	if e.Relay != [4]byte{} {
		told.Relay = netip.AddrFrom4(e.Relay)
	}
	return told
}

// monotonic is the clock of the kernel's events, in nanoseconds.
func monotonic() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail for this clock
	return uint64(ts.Nano())
}
