package membership

import (
	"context"
	"maps"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/store"
)

// follow keeps the others' records in step with the store.
func (m *Membership) follow(ctx context.Context) {
	store.Follow(ctx, m.store, prefix, func(items []store.Item, rev store.Rev) {
		m.mu.Lock()
		defer m.mu.Unlock()
		others, own := map[string]record{}, false
		for _, it := range items {
			r, err := decode(it.Key, it.Value)
			switch {
			case it.Key == key(m.name):
				own = err == nil && r.Instance == m.self.Instance
			case err != nil:
				m.log.Warn("a member that this xdpxe does not understand", zap.Error(err))
			default:
				others[it.Key] = r
			}
		}
		if !own && rev > m.rev {
			m.look()
		}
		m.heard(others)
	}, func(changes []store.Change) {
		m.mu.Lock()
		defer m.mu.Unlock()
		others := maps.Clone(m.others)
		for _, c := range changes {
			r, err := decode(c.Key, c.Value)
			switch {
			case c.Key == key(m.name):
				// An older change is one that was looked at already.
				if c.Rev > m.rev && (err != nil || r.Instance != m.self.Instance) {
					m.look()
				}
			case c.Deleted:
				delete(others, c.Key)
			case err != nil:
				m.log.Warn("a member that this xdpxe does not understand", zap.Error(err))
				delete(others, c.Key)
			default:
				others[c.Key] = r
			}
		}
		m.heard(others)
	})
}

// look has our own record looked at: somebody else has changed it. m.mu is held.
func (m *Membership) look() {
	m.recheck = true
	m.wake()
}

// heard makes these the others, and logs who has come and gone. m.mu is held.
func (m *Membership) heard(others map[string]record) {
	for key, r := range others {
		was, is := m.others[key]
		switch {
		case !is:
			m.log.Info("member joined", zap.String("member", r.Name), zap.Strings("addresses", r.Addresses), zap.Bool("draining", r.Draining))
		case was.Draining != r.Draining:
			m.log.Info("member changed", zap.String("member", r.Name), zap.Bool("draining", r.Draining))
		}
	}
	for key, r := range m.others {
		if _, is := others[key]; !is {
			m.log.Info("member gone: the others take over its machines", zap.String("member", r.Name))
		}
	}
	m.others = others
	m.publish()
}
