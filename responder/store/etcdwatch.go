package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Bounds of the changes that wait for a slow receiver.
const (
	maxWaiting      = 1 << 16
	maxWaitingBytes = 32 << 20
)

func (e *Etcd) Watch(ctx context.Context, prefix string, from Rev) (<-chan []Change, error) {
	e.mu.Lock()
	another := e.another
	e.mu.Unlock()
	var now Rev
	if err := e.do(ctx, func(ctx context.Context, c *clientv3.Client) (*etcdserverpb.ResponseHeader, error) {
		resp, err := c.Get(ctx, e.format)
		if err != nil {
			return nil, err
		}
		now = Rev(resp.Header.Revision)
		return resp.Header, nil
	}); err != nil {
		return nil, err
	}
	out := make(chan []Change)
	if from > now { // of another etcd
		close(out)
		return out, nil
	}
	w := &etcdWatch{e: e, prefix: prefix, next: from + 1, another: another, out: out}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(e.life, cancel)
	e.work.Go(func() {
		defer stop()
		defer cancel()
		defer close(out)
		w.run(ctx)
	})
	return out, nil
}

// etcdWatch brings changes to one receiver.
type etcdWatch struct {
	e       *Etcd
	prefix  string
	next    Rev // the first that has not come yet
	another <-chan struct{}
	out     chan<- []Change

	waiting [][]Change
	changes int
	bytes   int
}

// run returns when ctx ends, or changes are lost.
func (w *etcdWatch) run(ctx context.Context) {
	wait := minBackoff
	for {
		came, lost := w.stream(ctx)
		if lost || ctx.Err() != nil {
			return
		}
		if came {
			wait = minBackoff
		}
		// The stream broke. Meanwhile the receiver takes what is there.
		pause := time.NewTimer(wait)
		for paused := true; paused; {
			select {
			case w.ready() <- w.first():
				w.taken()
			case <-pause.C:
				paused = false
			case <-w.another:
				return
			case <-ctx.Done():
				return
			}
		}
		wait = min(2*wait, maxBackoff)
	}
}

// stream watches until the stream breaks, whether anything came by it, and
// whether the changes that come next are lost.
func (w *etcdWatch) stream(ctx context.Context) (came, lost bool) {
	connecting, done := context.WithTimeout(ctx, w.e.within)
	client, err := w.e.connect(connecting)
	done()
	if err != nil {
		return false, false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A server without its majority knows no news: it has to say so, and another one is asked.
	responses := client.Watch(clientv3.WithRequireLeader(ctx), w.e.prefix+w.prefix,
		clientv3.WithPrefix(), clientv3.WithRev(int64(w.next)))
	for {
		select {
		case r, ok := <-responses:
			if !ok {
				return came, false
			}
			if r.CompactRevision != 0 || errors.Is(r.Err(), rpctypes.ErrCompacted) {
				return came, true
			}
			if r.Err() != nil {
				return came, false
			}
			w.e.answered(r.Header)
			came = true
			if !w.add(r.Events) {
				return came, true
			}
		case w.ready() <- w.first():
			w.taken()
		case <-w.another:
			return came, true
		case <-ctx.Done():
			return came, true
		}
	}
}

// add queues changes. It returns false if the receiver is too slow for them.
func (w *etcdWatch) add(events []*clientv3.Event) bool {
	changes := make([]Change, 0, len(events))
	for _, ev := range events {
		c := Change{
			Key: strings.TrimPrefix(string(ev.Kv.Key), w.e.prefix), Value: ev.Kv.Value,
			Rev: Rev(ev.Kv.ModRevision), Deleted: ev.Type == clientv3.EventTypeDelete,
		}
		w.next = c.Rev + 1
		w.changes++
		w.bytes += c.size()
		changes = append(changes, c)
	}
	if len(changes) > 0 {
		w.waiting = append(w.waiting, changes)
	}
	return w.changes <= maxWaiting && w.bytes <= maxWaitingBytes
}

// ready is the receiver if something waits for it.
func (w *etcdWatch) ready() chan<- []Change {
	if len(w.waiting) == 0 {
		return nil
	}
	return w.out
}

func (w *etcdWatch) first() []Change {
	if len(w.waiting) == 0 {
		return nil
	}
	return w.waiting[0]
}

func (w *etcdWatch) taken() {
	for _, c := range w.waiting[0] {
		w.changes--
		w.bytes -= c.size()
	}
	w.waiting[0] = nil
	w.waiting = w.waiting[1:]
}
