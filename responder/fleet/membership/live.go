package membership

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/store"
)

const (
	minWait = 100 * time.Millisecond // before it is tried again to be a member
	maxWait = time.Second
)

// live keeps this server's record where the others see it.
func (m *Membership) live(ctx context.Context) {
	for retry := minWait; ctx.Err() == nil; {
		err := m.announce(ctx)
		if ctx.Err() != nil {
			return
		}
		m.setStatus(err)
		wait := m.ttl / 3
		switch {
		case err == nil:
			retry = minWait
			wait = min(wait, m.drained())
		default:
			wait = min(wait, retry)
			retry = min(2*retry, maxWait)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-m.kick:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// drained takes this server out of its own view once the others have had the
// time to hear that it drains, and returns how long that is still.
func (m *Membership) drained() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.announced.Draining || !m.self.Draining || m.out {
		return m.ttl
	}
	if left := fleet.Grace - time.Since(m.told); left > 0 {
		return left
	}
	m.out = true
	m.publish()
	m.log.Info("drained: the other members have its machines", zap.String("member", m.name))
	return m.ttl
}

// announce makes the record what it is to be, or else prolongs its lease.
func (m *Membership) announce(ctx context.Context) error {
	m.mu.Lock()
	self, announced, rev, recheck := m.self, m.announced, m.rev, m.recheck
	m.recheck = false
	m.mu.Unlock()
	if recheck {
		m.lease = 0 // it runs out; if the record is by it still, that gets a new one
	}
	var err error
	switch {
	case m.lease == 0:
		err = m.register(ctx, self)
	case self.Draining != announced.Draining:
		err = m.put(ctx, m.lease, self, rev)
	default:
		err = m.store.KeepAlive(ctx, m.lease)
	}
	if m.lease != 0 && (errors.Is(err, store.ErrLeaseGone) || errors.Is(err, store.ErrConflict)) {
		// The record is gone, or somebody else's: one look tells.
		m.lease = 0
		err = m.register(ctx, self)
	}
	return err
}

// register puts the record there by a new lease, unless it is another server's.
func (m *Membership) register(ctx context.Context, self record) error {
	it, found, err := m.store.Get(ctx, key(m.name))
	if err != nil {
		return err
	}
	if found {
		if err := m.mayReplace(self, it); err != nil {
			return err
		}
	}
	lease, err := m.store.Grant(ctx, m.ttl)
	if err != nil {
		return err
	}
	if err := m.put(ctx, lease, self, it.Rev); err != nil {
		m.store.Revoke(ctx, lease) // or it runs out
		return err
	}
	m.lease = lease
	return nil
}

// mayReplace says whether the record that is there is this server's: of this run,
// or of one before on the same machine, whose lease has not run out yet.
func (m *Membership) mayReplace(self record, it store.Item) error {
	there, err := decode(it.Key, it.Value)
	if err != nil {
		return fmt.Errorf("server %q: %w, in a form that this xdpxe does not know (%w): give this one another name", m.name, ErrNameTaken, err)
	}
	m.mu.Lock()
	wasMember := !m.told.IsZero()
	m.mu.Unlock()
	switch {
	case there.Instance == self.Instance:
		return nil
	case there.Host != self.Host:
		return fmt.Errorf("server %q: %w: machine %s at %v, since %s: give one of the two another name",
			m.name, ErrNameTaken, there.Host, there.Addresses, there.Since.Format(time.RFC3339))
	case wasMember:
		return fmt.Errorf("server %q: %w, since %s", m.name, ErrSuperseded, there.Since.Format(time.RFC3339))
	}
	return nil
}

// put writes the record over the one at a revision.
func (m *Membership) put(ctx context.Context, lease store.Lease, self record, over store.Rev) error {
	rev, err := m.store.CommitLeased(ctx, lease, []store.Check{{Key: key(m.name), Rev: over}}, []store.Write{{Key: key(m.name), Value: self.encode()}})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.announced, m.told, m.rev = self, time.Now(), rev
	return nil
}

// setStatus takes down how it went, and logs what has changed.
func (m *Membership) setStatus(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.status
	// One that could not prolong its lease is a member until that runs out; it
	// cannot know, so what went wrong is said besides.
	m.status = Status{Member: err == nil || was.Member && errors.Is(err, store.ErrUnavailable), Err: err}
	name := zap.String("member", m.name)
	switch {
	case err == nil && !was.Member:
		m.log.Info("member of the fleet", name)
	case err == nil && was.Err != nil:
		m.log.Info("the fleet's store answers again", name)
	case err != nil && was.Err == nil:
		m.log.Warn("the others may not know of this server", name, zap.Error(err))
	}
	close(m.changed)
	m.changed = make(chan struct{})
}
