package decide

import (
	"fmt"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/hook"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// Explain returns how Decide comes to its answer, from the first rule to the
// owner: the whole chain. It changes nothing, allocates, and is for people.
func (d *Decider) Explain(machine *policy.Machine) []policy.Step {
	trial := *machine
	trial.Trial = true
	m := &trial
	dec := d.Decide(m)
	steps := d.explain(&dec, m)
	if dec.Reason == packet.Answered {
		return append(steps, policy.Step{Subject: "answer", OK: true, Detail: dec.File})
	}
	last := policy.Step{Subject: "answer", Detail: "none: " + dec.Reason.String()}
	if dec.Detail != "" && dec.Detail != dec.Reason.String() {
		last.Detail += " (" + dec.Detail + ")"
	}
	return append(steps, last)
}

func (d *Decider) explain(dec *policy.Decision, m *policy.Machine) (steps []policy.Step) {
	if dec.Reason == packet.MachineIgnored {
		return d.explainCatalogue(m)
	}
	var a *policy.Action
	for from := 0; ; from = a.Index + 1 {
		steps = append(steps, d.policy.ExplainRules(m, from)...)
		if a = d.policy.Action(m, from); a.Webhook == "" {
			break
		}
		step, next := d.explainWebhook(a.Webhook, m)
		steps = append(steps, step)
		if !next {
			break
		}
	}
	if dec.Track {
		steps = append(steps, d.explainCatalogue(m)...)
	}
	before := *dec // what delay and owner are asked about
	if dec.Reason == packet.Delayed || dec.Reason == packet.OtherOwner {
		_, before = d.follow(d.snapshot(), m)
	}
	steps = append(steps, d.policy.ExplainChoice(a, &before, m)...)
	if before.Reason != packet.Answered || !m.Discover {
		return steps
	}
	return append(steps, d.explainTurn(a, dec, m)...)
}

func (d *Decider) explainCatalogue(m *policy.Machine) []policy.Step {
	s := d.snapshot()
	if s == nil {
		return []policy.Step{{Subject: "deployments", Detail: "there is no store: nothing is deployed, and no machine is known"}}
	}
	var steps []policy.Step
	for _, step := range s.Explain(client(m), m.Now) {
		steps = append(steps, policy.Step(step))
	}
	return steps
}

// explainWebhook says what a webhook has to say; next: the rules go on.
func (d *Decider) explainWebhook(name string, m *policy.Machine) (step policy.Step, next bool) {
	step.Subject = "webhook " + name
	h := d.webhooks[name]
	if h == nil {
		step.Detail = "is not in the configuration"
		return step, false
	}
	switch reply := h.Look(m, m.Now); reply.State {
	case hook.Known:
		step.OK = reply.Answer.Boot != hook.Ignore
		step.Detail = "says " + reply.Answer.Boot
		if reply.Answer.Reason != "" {
			step.Detail += ": " + reply.Answer.Reason
		}
		return step, reply.Answer.Boot == hook.Next
	case hook.Failed:
		step.OK, step.Detail = reply.Open, fmt.Sprintf("no answer, which means silence: %v", reply.Err)
		if reply.Open {
			step.Detail = fmt.Sprintf("no answer, and the rule goes on without it: %v", reply.Err)
		}
	default:
		step.Detail = "has not answered a question about this machine yet: the client is answered when it asks again"
	}
	return step, false
}

// explainTurn says whose turn it is, and when.
func (d *Decider) explainTurn(a *policy.Action, dec *policy.Decision, m *policy.Machine) (steps []policy.Step) {
	k := fleet.KeyOf(m.MAC)
	if a.Delay > 0 {
		_, first := d.clients.delayed.Try(m.Now, k, m.IPXE, false)
		step := policy.Step{Subject: "delay", OK: m.Now.Sub(first) >= a.Delay}
		step.Detail = fmt.Sprintf("its first DISCOVER was %v ago, it is answered from %v on", m.Now.Sub(first).Round(time.Millisecond), a.Delay)
		steps = append(steps, step)
	}
	if a.Claimed > 0 {
		step := policy.Step{Subject: "delay-secs", OK: m.WaitedFor() >= a.Claimed}
		step.Detail = fmt.Sprintf("it says that it has waited %v (secs %d), it is answered from %v on", m.WaitedFor(), m.Secs, a.Claimed)
		steps = append(steps, step)
	}
	v := d.fleet()
	if v == nil || len(v.Members()) < 2 {
		return steps
	}
	rank := v.Rank(k)
	step := policy.Step{Subject: "owner", OK: dec.Reason == packet.Answered}
	switch {
	case rank == 0:
		step.Detail = "this server answers at once"
	default:
		step.Detail = fmt.Sprintf("%s; this server answers from DISCOVER %d on", owner(v, k), rank+1)
	}
	return append(steps, step)
}

func owner(v *fleet.View, k fleet.Key) string {
	var names []string
	for _, m := range v.Members() {
		names = append(names, m.Name)
	}
	return fmt.Sprintf("%s, of %s", v.Owner(k).Name, strings.Join(names, ", "))
}

// snapshot is what is deployed; nil without a catalogue.
func (d *Decider) snapshot() *deploy.Snapshot {
	if d.catalogue == nil {
		return nil
	}
	return d.catalogue.Snapshot()
}
