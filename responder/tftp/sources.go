package tftp

import (
	"hash/maphash"
	"net/netip"
	"sync"
)

// sources bounds how many requests a second are answered to one address and to
// one network. Both may be forged: our answers would be aimed at them. Whoever
// acknowledges something is no forgery, and gets its request back.
type sources struct {
	clients, networks *rates // nil: no bound
	networkBits       networkBits
}

func newSources(cfg *Config) *sources {
	return &sources{newRates(cfg.PerClient.Requests), newRates(cfg.PerNetwork.Requests), cfg.NetworkBits}
}

// take says whether a request from an address is answered: running, or which rate is exceeded.
func (s *sources) take(a netip.Addr, now instant) Outcome {
	switch {
	case !s.clients.take(netip.PrefixFrom(a, a.BitLen()), now):
		return ClientRate
	case !s.networks.take(s.networkBits.of(a), now):
		return NetworkRate
	}
	return running
}

// giveBack takes it that a request was an honest one.
func (s *sources) giveBack(a netip.Addr, now instant) {
	s.clients.giveBack(netip.PrefixFrom(a, a.BitLen()), now)
	s.networks.giveBack(s.networkBits.of(a), now)
}

// networkBits is how much of an IPv4 and of an IPv6 address is its network.
type networkBits [2]int

// of returns the network of an address, which has no zone.
func (b networkBits) of(a netip.Addr) netip.Prefix {
	bits := b[0]
	if a.Is6() {
		bits = b[1]
	}
	// The bits are in range: a Config says so.
	p, _ := a.Prefix(bits)
	return p
}

// rates bounds the rate of each of many sources in a fixed memory. A bucket that
// is full again tells nothing and gives way first, so that a flood from many
// sources does not wash away what is known of one.
type rates struct {
	rate float64 // a second
	seed maphash.Seed
	mu   sync.Mutex
	sets [rateSets][rateWays]source
}

const (
	rateSets = 1024
	rateWays = 4
	// requestBurst is how many may come at once: a room full of machines behind one address.
	requestBurst = 4096
)

type source struct {
	prefix netip.Prefix
	bucket
}

func newRates(rate int) *rates {
	if rate == 0 {
		return nil
	}
	return &rates{rate: float64(rate), seed: maphash.MakeSeed()}
}

// take says whether one more from p is within its rate.
func (t *rates) take(p netip.Prefix, now instant) bool {
	if t == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(p, now)
	if s.prefix != p {
		*s = source{p, bucket{rate: t.rate, most: requestBurst, level: requestBurst, last: now}}
	}
	return s.take(now)
}

// giveBack takes back that there was one more from p.
func (t *rates) giveBack(p netip.Prefix, now instant) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.find(p, now); s.prefix == p {
		s.level = min(s.level+1, s.most)
	}
}

// find returns the place of p, or the one that it may take.
func (t *rates) find(p netip.Prefix, now instant) *source {
	set := &t.sets[maphash.Comparable(t.seed, p)%rateSets]
	best := &set[0]
	for i := range set {
		s := &set[i]
		if s.prefix == p {
			return s
		}
		s.fill(now)
		if !s.prefix.IsValid() || best.prefix.IsValid() && s.level > best.level {
			best = s
		}
	}
	return best
}
