package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/xdpxe/xdpxe/loader"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
	"github.com/xdpxe/xdpxe/responder/publish"
)

// maxRulesCovered bounds the rules that a status says something of.
const maxRulesCovered = 1 << 10

const nothingYet = "no request of that kind yet"

// kernelStatus describes what the kernel answers by itself on an interface;
// nil without an XDP program. The caller holds p.mu.
func (p *port) kernelStatus() *control.Kernel {
	o := p.open
	if o == nil || o.path.Mode() == loader.ModeNone {
		return nil
	}
	st := p.kernel.State()
	k := &control.Kernel{Why: p.kernelWhy(o, &st)}
	k.Active = st.Attached && !st.Held
	if i, err := o.path.Templates(); err == nil {
		k.Patterns, k.MaxPatterns, k.Machines, k.MaxMachines = i.Patterns, i.MaxPatterns, i.Exact, i.MaxExact
		k.EventsDropped = i.EventsDropped
	}
	for why, n := range st.Refused {
		if n != 0 {
			k.Refused = append(k.Refused, control.KernelRefusal{Why: publish.Why(why).String(), Count: n})
		}
	}
	return k
}

// kernelWhy says what keeps the kernel from answering, altogether or at a stage.
func (p *port) kernelWhy(o *opened, st *publish.State) (why []string) {
	if off := p.kernelOff(o); off != "" {
		return []string{off}
	}
	if st.Held {
		return []string{"xdpxe capture is running: it sees all requests"}
	}
	if st.Limits.Discover != "" {
		why = append(why, "DISCOVER: "+st.Limits.Discover)
	}
	if st.Limits.BootServer != "" {
		why = append(why, "port 4011: "+st.Limits.BootServer)
	}
	return why
}

// covering is what an interface's kernel covers.
type covering struct {
	iface string
	off   string // why it answers nothing at all
	publish.State
}

// covering asks the port; ok is false while nothing is served there.
func (p *port) covering() (c covering, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		return c, false
	}
	c = covering{iface: p.opts.Iface, off: p.kernelOff(p.open), State: p.kernel.State()}
	if c.off == "" && c.Held {
		c.off = "xdpxe capture is running"
	}
	return c, true
}

// target is a rule, or the default, and where it leads; profile is empty where
// there is none, or it is others who name it.
type target struct{ rule, profile string }

func targets(cfg *config.Config) (list []target) {
	profile := func(boot string) string {
		switch boot {
		case policy.Ignore, policy.Deployed, policy.Hold:
			return ""
		}
		return boot
	}
	for i, r := range cfg.Spec.Rules {
		list = append(list, target{cmp.Or(r.Name, fmt.Sprintf("rule-%d", i+1)), profile(r.Boot)})
	}
	return append(list, target{"", profile(cfg.Spec.Default)})
}

// coverageOf says for each rule, and the default, how far the kernels answer
// what it decides; more is how many rules are left out.
func coverageOf(cfg *config.Config, kernels []covering) (list []control.Coverage, more int) {
	seen := make(map[string][]control.Coverage) // by rule
	for _, k := range kernels {
		for i := range k.Covers {
			c := &k.Covers[i]
			seen[c.Decision.Rule] = append(seen[c.Decision.Rule], k.coverage(c))
		}
	}
	all := targets(cfg)
	// Those that requests were for come first, if there is not room for all.
	if len(all) > maxRulesCovered {
		slices.SortStableFunc(all, func(a, b target) int { return cmp.Compare(min(len(seen[b.rule]), 1), min(len(seen[a.rule]), 1)) })
		more = len(all) - maxRulesCovered
		all = all[:maxRulesCovered]
	}
	for _, t := range all {
		rows := seen[t.rule]
		for _, k := range kernels {
			if !slices.ContainsFunc(rows, func(c control.Coverage) bool { return c.Iface == k.iface }) {
				rows = append(rows, control.Coverage{Rule: t.rule, Profile: t.profile, Iface: k.iface, Why: []string{cmp.Or(k.off, nothingYet)}})
			}
		}
		list = append(list, rows...)
	}
	return list, more
}

// coverage is what is told of one outcome.
func (k *covering) coverage(c *publish.Cover) control.Coverage {
	row := control.Coverage{
		Rule: c.Decision.Rule, Profile: c.Decision.Profile, Iface: k.iface, Stage: c.Stage.String(), Result: c.Reason.String(),
		Patterns: c.Patterns, Machines: c.Machines, Answers: c.Patterns+c.Machines > 0 && k.off == "",
	}
	if k.off != "" {
		row.Why = []string{k.off}
		return row
	}
	for why, n := range c.Refused {
		switch {
		case n == 0:
		case publish.Why(why) == publish.WhyNoAnswers && c.Reason == packet.Answered:
			row.Why = append(row.Why, k.limit(c.Stage))
		default:
			row.Why = append(row.Why, publish.Why(why).Text())
		}
	}
	return row
}

func (k *covering) limit(s dhcp.Stage) string {
	limit := k.Limits.Discover
	if s == dhcp.StageBootServer {
		limit = k.Limits.BootServer
	}
	return cmp.Or(limit, publish.WhyNoAnswers.Text())
}
