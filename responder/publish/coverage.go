package publish

import (
	"cmp"
	"slices"
	"strings"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// Decision is what of a policy's decision is told: all that names it.
type Decision struct {
	Rule, Profile, File string
	Deployment, Detail  string
	Arch                policy.Arch
	Style               policy.Style
	Track               bool
}

func decisionOf(d *policy.Decision) Decision {
	return Decision{d.Rule, d.Profile, d.File, d.Deployment, d.Detail, d.Arch, d.Style, d.Track}
}

// Cover says how far the kernel answers requests with one outcome.
type Cover struct {
	Facts
	Patterns int             // templates for all machines of a kind
	Machines int             // templates for one machine each
	Refused  [NumWhys]uint64 // requests of which no template could be made
}

// maxCovers bounds the outcomes that are told apart.
const maxCovers = 1 << 12

// coverage is what was published in one generation.
type coverage struct {
	generation uint64
	of         map[Facts]*Cover
	refused    [NumWhys]uint64 // in all generations
}

func (c *coverage) reset(generation uint64) {
	c.generation, c.of = generation, make(map[Facts]*Cover)
}

func (c *coverage) note(generation uint64, f Facts, why Why, exact bool) {
	if generation != c.generation {
		c.reset(generation) // the kernel began it
	}
	f.Decision = Decision{Rule: f.Decision.Rule, Profile: f.Decision.Profile}
	one := c.of[f]
	if one == nil {
		if len(c.of) == maxCovers {
			return
		}
		one = &Cover{Facts: f}
		c.of[f] = one
	}
	switch {
	case why != Published:
		one.Refused[why]++
		c.refused[why]++
	case exact:
		one.Machines++
	default:
		one.Patterns++
	}
}

// State is what a Publisher has published.
type State struct {
	Attached bool // there is a kernel's side
	Held     bool
	Limits   Limits
	Covers   []Cover         // of this generation, without files and architectures, in a stable order
	Refused  [NumWhys]uint64 // requests of which no template could be made, since the beginning
}

// State returns what is published.
func (p *Publisher) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := State{Held: p.held, Refused: p.cover.refused}
	o := p.open.Load()
	if o == nil {
		return st
	}
	st.Attached, st.Limits = true, o.limits
	if o.kernel.Generation() != p.cover.generation {
		return st
	}
	for _, c := range p.cover.of {
		st.Covers = append(st.Covers, *c)
	}
	slices.SortFunc(st.Covers, func(a, b Cover) int {
		return cmp.Or(strings.Compare(a.Decision.Rule, b.Decision.Rule), strings.Compare(a.Decision.Profile, b.Decision.Profile),
			cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Reason, b.Reason))
	})
	return st
}
