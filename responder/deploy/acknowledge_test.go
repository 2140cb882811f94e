package deploy

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

// lateStore acknowledges a write only when the watch has told of it.
type lateStore struct {
	*memStore
	seen chan struct{}
}

func (s *lateStore) Bulk(ctx context.Context, txns []store.Txn) []store.Result {
	results := s.memStore.Bulk(ctx, txns)
	<-s.seen
	return results
}

// Nothing is acknowledged before Changed has returned, also where the watch was
// first: it is what keeps the kernel from answering by what held before.
func TestAcknowledgedAfterChanged(t *testing.T) {
	s := &lateStore{newMemStore(), make(chan struct{})}
	var writing, told atomic.Bool
	acknowledged := make(chan struct{})
	c := New(Config{Store: s, Changed: func() {
		if !writing.Swap(false) {
			return
		}
		close(s.seen)
		select {
		case <-acknowledged:
		case <-time.After(50 * time.Millisecond): // long enough for who does not wait
		}
		told.Store(true)
	}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	<-c.Ready()
	writing.Store(true)
	mustCreate(t, c, onceFor(HardwareIdentity([]byte{2, 0, 0, 0, 0, 1})))
	if !told.Load() {
		t.Error("acknowledged, and nobody was told")
	}
	close(acknowledged)
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
