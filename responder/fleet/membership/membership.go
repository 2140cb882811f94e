// Package membership finds out which boot servers of a fleet are there, by a
// store that they have in common.
//
// Each member keeps a record under its name, by a lease that it prolongs: when
// it dies, the record goes with the lease. All follow the records. The lease is
// 5 seconds by default; the etcd must give that much time to a slow member, and
// until it is over the next in rank answers the second DISCOVER (package fleet).
//
// A server needs no etcd to go on: what it knew last of the others holds until
// it hears from them again, and alone from the start it answers all machines, as
// servers without a store in common do.
package membership

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/store"
)

// Store is what is needed of a store that servers have in common: store.Etcd.
type Store interface {
	Get(ctx context.Context, key string) (store.Item, bool, error)
	Scan(ctx context.Context, prefix string, each func(store.Item) error) (store.Rev, error)
	Watch(ctx context.Context, prefix string, from store.Rev) (<-chan []store.Change, error)
	Grant(ctx context.Context, ttl time.Duration) (store.Lease, error)
	KeepAlive(ctx context.Context, lease store.Lease) error
	Revoke(ctx context.Context, lease store.Lease) error
	CommitLeased(ctx context.Context, lease store.Lease, checks []store.Check, writes []store.Write) (store.Rev, error)
}

var _ Store = (*store.Etcd)(nil)

const defaultTTL = 5 * time.Second

// Why a server is no member. Both are wrapped with what to do.
var (
	ErrNameTaken  = errors.New("another server has this name")
	ErrSuperseded = errors.New("a newer run of this server is a member now")
)

// Config says who joins.
type Config struct {
	Name      string        // of this server; the others must have other names
	Host      string        // what tells this machine from all others: /etc/machine-id
	Addresses []string      // for people
	Version   string        // of xdpxe
	TTL       time.Duration // of the lease; default 5 s
	Log       *zap.Logger   // who comes and goes; default: nowhere
	Changed   func()        // called after the view has become another one; it must not block
}

// Status says whether the others know of this server.
type Status struct {
	Member bool
	Err    error // why not, or what went wrong last
}

// Membership is one server's part in a fleet.
type Membership struct {
	store Store
	name  string
	ttl   time.Duration
	log   *zap.Logger
	view  atomic.Pointer[fleet.View]
	lease store.Lease // live's

	viewed func() // the view is another one

	end  context.CancelFunc
	work sync.WaitGroup
	kick chan struct{} // something is to be done before the lease is to be prolonged

	mu        sync.Mutex
	self      record            // as it is to be
	others    map[string]record // by key
	announced record            // as the others were told
	told      time.Time         // when
	rev       store.Rev         // of what they were told
	out       bool              // drains in its own view as well
	recheck   bool              // somebody else has changed our record
	status    Status
	changed   chan struct{} // closed when something of these has
}

// Join begins to be a member, and to follow who else is one, until Close. It
// does not wait for the store.
func Join(s Store, c Config) (*Membership, error) {
	if err := validName(c.Name); err != nil {
		return nil, err
	}
	if c.Host == "" {
		return nil, fmt.Errorf("server %q: its machine has no identity: is /etc/machine-id empty? systemd-machine-id-setup writes one", c.Name)
	}
	if c.TTL <= 0 {
		c.TTL = defaultTTL
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Changed == nil {
		c.Changed = func() {}
	}
	m := &Membership{
		store: s, name: c.Name, ttl: c.TTL, log: c.Log, viewed: c.Changed, kick: make(chan struct{}, 1), changed: make(chan struct{}), others: map[string]record{},
		self: record{
			Name: c.Name, Host: c.Host, Instance: rand.Text(), Addresses: c.Addresses, Version: c.Version,
			Since: time.Now().UTC().Truncate(time.Second),
		},
	}
	m.mu.Lock()
	m.publish()
	m.mu.Unlock()
	var ctx context.Context
	ctx, m.end = context.WithCancel(context.Background())
	m.work.Go(func() { m.follow(ctx) })
	m.work.Go(func() { m.live(ctx) })
	return m, nil
}

// Close ends the membership: the others take over at once. To miss nobody, Drain first.
func (m *Membership) Close(ctx context.Context) error {
	m.HandOver()
	if m.lease == 0 {
		return nil
	}
	if err := m.store.Revoke(ctx, m.lease); err != nil && !errors.Is(err, store.ErrLeaseGone) {
		return fmt.Errorf("server %q leaves when its lease of %v runs out: %w", m.name, m.ttl, err)
	}
	return nil
}

// HandOver ends the membership here and leaves it to the next run of this
// server, which takes the record over before its lease runs out: no machine moves.
func (m *Membership) HandOver() {
	m.end()
	m.work.Wait()
}

// View returns the fleet as it is known now. It costs a load of a pointer.
func (m *Membership) View() *fleet.View { return m.view.Load() }

// Status says whether the others know of this server.
func (m *Membership) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// Members returns all members that are known, by name; this server as it is to be.
func (m *Membership) Members() []fleet.Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	members := m.view.Load().Members()
	for i := range members {
		if members[i].Name == m.name {
			members[i] = m.self.member()
		}
	}
	return members
}

// Drain has the others take over this server's machines, and returns when they
// have: none is missed. Until they can be told, and when ctx ends before, this
// server goes on as it was; they are told as soon as they can be. Resume undoes
// it, and so does a restart.
func (m *Membership) Drain(ctx context.Context) error {
	return m.setDraining(ctx, true, func() bool { return m.out })
}

// Resume undoes Drain, and returns when the others have been told.
func (m *Membership) Resume(ctx context.Context) error {
	return m.setDraining(ctx, false, func() bool { return m.status.Member && !m.announced.Draining })
}

func (m *Membership) setDraining(ctx context.Context, draining bool, done func() bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.self.Draining = draining
	if !draining {
		m.out = false // at once: the others may count it in from now on
	}
	m.publish()
	m.wake()
	for !done() {
		if m.self.Draining != draining {
			return fmt.Errorf("server %q: another call wants the opposite", m.name)
		}
		changed := m.changed
		m.mu.Unlock()
		select {
		case <-changed:
			m.mu.Lock()
		case <-ctx.Done():
			m.mu.Lock()
			return fmt.Errorf("server %q: the others have not been told yet: %w", m.name, errors.Join(ctx.Err(), m.status.Err))
		}
	}
	return nil
}

// publish makes what is known the view. m.mu is held.
func (m *Membership) publish() {
	self := m.self.member()
	self.Draining = m.out
	var others []fleet.Member
	for _, r := range m.others {
		others = append(others, r.member())
	}
	m.view.Store(fleet.NewView(self, others))
	m.viewed()
	close(m.changed)
	m.changed = make(chan struct{})
}

// wake has the lease's goroutine look at once.
func (m *Membership) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}
