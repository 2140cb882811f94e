package decide

import (
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/hook"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// What Decision.Detail says besides the words of deploy.Why and policy.NoSuchProfile.
const (
	byWebhook   = "webhook"        // it said so
	notAnswered = "no_answer_yet"  // it is being asked
	tooMany     = "too_many_wait"  // to be asked
	failedOpen  = "webhook_failed" // and the rule goes on without it
)

// Decide says what a machine boots. It does not allocate, unless a webhook is to be asked.
func (d *Decider) Decide(m *policy.Machine) policy.Decision {
	s := d.snapshot() // one for the whole decision
	if s != nil && s.Stats().Ignored > 0 && s.Find(client(m), m.Now).Why == deploy.IsIgnored {
		dec := d.policy.Action(m, 0).Begin(m)
		dec.Rule, dec.Reason = "", packet.MachineIgnored
		return dec
	}
	a, dec := d.follow(s, m)
	if a.Waits() {
		dec.Cacheable = false
	}
	if dec.Reason == packet.Answered && m.Discover {
		if dec.Reason = d.turn(a, &dec, m); dec.Reason != packet.Answered {
			dec.File = ""
		}
	}
	return dec
}

// follow goes through the rules, from webhook to webhook.
func (d *Decider) follow(s *deploy.Snapshot, m *policy.Machine) (a *policy.Action, dec policy.Decision) {
	asked := false
	for from := 0; ; from = a.Index + 1 {
		a = d.policy.Action(m, from)
		dec = a.Begin(m)
		if a.Webhook == "" {
			d.take(a, &dec, s, m)
			break
		}
		asked = true
		if d.obey(a, &dec, s, m) {
			break
		}
	}
	if asked {
		dec.Cacheable = false
	}
	return a, dec
}

// obey does what a rule's webhook says. It reports false if the rules go on.
func (d *Decider) obey(a *policy.Action, dec *policy.Decision, s *deploy.Snapshot, m *policy.Machine) bool {
	reply := d.ask(a.Webhook, m)
	switch {
	case reply.State == hook.Asking:
		dec.Reason, dec.Detail = packet.WebhookWaits, notAnswered
	case reply.State == hook.Busy:
		dec.Reason, dec.Detail = packet.WebhookWaits, tooMany
	case reply.State == hook.Failed && reply.Open:
		d.take(a, dec, s, m)
		if dec.Detail == "" {
			dec.Detail = failedOpen
		}
	case reply.State == hook.Failed:
		dec.Reason = packet.WebhookFailed
	case reply.Answer.Boot == hook.Next:
		return false
	case reply.Answer.Boot == hook.Ignore:
		dec.Reason, dec.Detail = packet.RuleIgnore, byWebhook
	case reply.Answer.Boot == hook.Local:
		dec.Detail = byWebhook
		a.TakeLocal(dec, m)
	default:
		dec.Detail = byWebhook
		d.policy.TakeProfile(a, dec, reply.Answer.Boot, m)
	}
	return true
}

// ask puts the machine's question to a webhook; in a trial it is not put.
func (d *Decider) ask(name string, m *policy.Machine) hook.Reply {
	h := d.webhooks[name]
	switch {
	case h == nil:
		return hook.Reply{State: hook.Failed}
	case m.Trial:
		return h.Look(m, m.Now)
	}
	return h.Ask(m, m.Now)
}

// take does what the rule itself says.
func (d *Decider) take(a *policy.Action, dec *policy.Decision, s *deploy.Snapshot, m *policy.Machine) {
	if !a.Tracks() {
		a.Take(dec, a.Boot, m)
		return
	}
	found := deploy.Answer{Why: deploy.Unknown}
	if s != nil {
		found = s.Find(client(m), m.Now)
	}
	dec.Track, dec.Detail = true, found.Why.String()
	dec.Cacheable = dec.Cacheable && found.Until.IsZero()
	known := a.Boot
	if known.Kind == policy.ToDeployed {
		known = a.Else
	}
	switch found.Why {
	case deploy.Deployed:
		if a.Boot.Kind != policy.ToDeployed {
			a.Take(dec, a.Boot, m)
			return
		}
		dec.Deployment = found.Deployment.ID
		d.policy.TakeProfile(a, dec, found.Profile, m)
	case deploy.Approved:
		if found.Profile == "" {
			a.Take(dec, known, m)
			return
		}
		d.policy.TakeProfile(a, dec, found.Profile, m)
	case deploy.Unknown, deploy.Held:
		dec.Cacheable = false // its record is to say how often it asks
		a.Take(dec, a.Unknown, m)
	case deploy.NotLoaded:
		dec.Reason, dec.Cacheable = packet.NothingDeployed, false
	default:
		a.Take(dec, known, m)
	}
}

// turn says whether it is time for this server to answer a DISCOVER.
func (d *Decider) turn(a *policy.Action, dec *policy.Decision, m *policy.Machine) packet.Reason {
	k := fleet.KeyOf(m.MAC)
	if a.Delay > 0 {
		if _, first := d.clients.delayed.Try(m.Now, k, m.IPXE, !m.Trial); m.Now.Sub(first) < a.Delay {
			return packet.Delayed
		}
	}
	if m.WaitedFor() < a.Claimed {
		return packet.Delayed
	}
	v := d.fleet()
	if v == nil {
		return packet.Answered
	}
	if rank := v.Rank(k); rank > 0 {
		dec.Cacheable = false // the next DISCOVER may be answered
		if n, _ := d.clients.owned.Try(m.Now, k, m.IPXE, !m.Trial); rank >= n {
			return packet.OtherOwner
		}
	}
	return packet.Answered
}

func client(m *policy.Machine) deploy.Client { return deploy.Client{MAC: m.MAC, UUID: m.UUID} }
