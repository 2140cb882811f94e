package tftp

import (
	"context"
	"sync"
)

// maxFollowing bounds the goroutines that call Followers, and so how many last
// blocks wait at a time; what is beyond it waits for its turn.
const maxFollowing = 1024

// followers calls Followers beside the event loops, those of one transfer in order.
type followers struct {
	mu      sync.Mutex
	ready   []*following // have something to hear, and no goroutine
	working int
	done    sync.WaitGroup
}

// following is one transfer's Follower and what it has not heard yet.
type following struct {
	pool     *followers
	follower Follower
	ctx      context.Context // of LastBlock
	cancel   context.CancelFunc

	// Of the loop:
	asked bool  // LastBlock
	told  int64 // bytes acknowledged when it last heard of progress

	// Under pool.mu:
	tidings []tiding
	queued  bool // ready, or a goroutine has it
}

// tiding is one call of a Follower.
type tiding struct {
	kind   tidingKind
	bytes  int64
	ending Ending
	answer func(error) // LastBlock's
}

type tidingKind uint8

const (
	tellBegan tidingKind = iota
	tellMoved
	askLast
	tellEnded
)

func (p *followers) follow(f Follower) *following {
	ctx, cancel := context.WithCancel(context.Background())
	return &following{pool: p, follower: f, ctx: ctx, cancel: cancel}
}

// tell lets the Follower hear something. It does not wait.
func (f *following) tell(t tiding) {
	p := f.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(f.tidings) - 1; last >= 0 && t.kind == tellMoved && f.tidings[last].kind == tellMoved {
		f.tidings[last] = t
		return
	}
	f.tidings = append(f.tidings, t)
	if f.queued {
		return
	}
	f.queued = true
	p.ready = append(p.ready, f)
	if p.working < maxFollowing {
		p.working++
		p.done.Go(p.work)
	}
}

// work has Followers hear things until there is nothing more.
func (p *followers) work() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.ready) > 0 {
		f := p.ready[0]
		p.ready[0] = nil
		p.ready = p.ready[1:]
		for len(f.tidings) > 0 {
			t := f.tidings[0]
			f.tidings = f.tidings[1:]
			p.mu.Unlock()
			f.hear(&t)
			p.mu.Lock()
		}
		f.queued = false
	}
	p.working--
}

func (f *following) hear(t *tiding) {
	switch t.kind {
	case tellBegan:
		f.follower.Began(t.bytes)
	case tellMoved:
		f.follower.Moved(t.bytes)
	case askLast:
		err := f.ctx.Err() // the transfer may have ended before its turn came
		if err == nil {
			err = f.follower.LastBlock(f.ctx)
		}
		t.answer(err)
	case tellEnded:
		f.follower.Ended(t.ending)
	}
}

// wait returns when all has been heard. Nothing more may be told by then.
func (p *followers) wait() { p.done.Wait() }
