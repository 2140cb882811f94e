package deploy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Step is one line of the way to an answer.
type Step struct {
	Subject string // "deployment d-17", "ignore list", "machine 52:54:00:12:34:56"
	OK      bool   // it leads to an answer
	Detail  string
}

func (s Step) String() string {
	mark := "no "
	if s.OK {
		mark = "yes"
	}
	return fmt.Sprintf("%s  %s: %s", mark, s.Subject, s.Detail)
}

// Explain returns how Find comes to its answer: every deployment that names the
// client, the weightiest first, each with why it is given or not. It is for people.
func (s *Snapshot) Explain(c Client, now time.Time) []Step {
	if !s.loaded {
		return []Step{{Subject: "store", Detail: "not read yet: nothing is answered by deployments"}}
	}
	var steps []Step
	found := s.Find(c, now)
	mac, uuid := c.Identities()
	known, same := s.entry(mac), s.entry(uuid.key())
	if len(c.UUID) == 16 && uuid.IsZero() {
		steps = append(steps, Step{Subject: "uuid", Detail: "a placeholder that many machines have: not looked at"})
	}
	if n := len(same.bearers); n > 1 {
		steps = append(steps, Step{Subject: "uuid " + uuid.String(), Detail: "also seen with " + list(same.bearers, mac) +
			": the ports of one machine, or a vendor's mistake; deploy by hardware address"})
	}
	if !s.available {
		steps = append(steps, Step{Subject: "store", Detail: "does not answer: deployments that are used up once are not given"})
	}
	if i := found.Ignored; i != nil {
		steps = append(steps, Step{Subject: "ignore list", Detail: describeMark(i.Pattern.String()+" is on it", i.Mark)})
	}
	w := candidates{s: s, now: now, by: c.ID()}
	for _, l := range s.listed(known, mac, same, uuid.key()) {
		why, _ := w.judge(l.n, l.id)
		step := Step{Subject: "deployment " + l.n.d.ID, OK: why == Deployed && found.Ignored == nil, Detail: s.detail(l, why, now)}
		if step.OK && found.Deployment != l.n.d {
			step.OK, step.Detail = false, step.Detail+"; "+found.Deployment.ID+" comes before it"
		}
		steps = append(steps, step)
	}
	return append(steps, Step{Subject: "machine " + c.ID().String(), OK: found.Why == Deployed || found.Why == Approved, Detail: found.text()})
}

// listing is a deployment with the identity by which it names a client.
type listing struct {
	n  *node
	id Identity
}

func (s *Snapshot) listed(known *entry, mac Identity, same *entry, uuid Identity) []listing {
	var all []listing
	for _, side := range [...]struct {
		e  *entry
		id Identity
	}{{known, mac}, {same, uuid}} {
		for _, n := range side.e.nodes {
			all = append(all, listing{n, side.id})
		}
		for _, name := range side.e.groups {
			for _, n := range s.group(name).nodes {
				all = append(all, listing{n, side.id})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b listing) int { return weight(a.n, b.n) })
	return all
}

func (s *Snapshot) detail(l listing, why Why, now time.Time) string {
	d := l.n.d
	r, _ := l.n.runOf(l.id)
	r = r.At(d, now)
	kind := "standing"
	if d.Once {
		kind = "once, until " + d.Milestone.String()
	}
	text := fmt.Sprintf("%s, %s, for %s: ", d.Profile, kind, d.Target)
	since := r.Since.UTC().Format(time.RFC3339)
	switch why {
	case Deployed:
		return text + "given (" + string(r.State) + ")"
	case TooEarly:
		return text + "its window opens at " + d.NotBefore.UTC().Format(time.RFC3339)
	case TooLate:
		return text + "its window closed at " + d.NotAfter.UTC().Format(time.RFC3339)
	case OtherLoads:
		return text + r.Address.String() + ", which has the same UUID, is loading it"
	case StoreGone:
		return text + "the store cannot be asked whether it was used up"
	}
	if r.Reason != "" {
		return text + fmt.Sprintf("%s since %s: %s", r.State, since, r.Reason)
	}
	return text + fmt.Sprintf("%s since %s", r.State, since)
}

// text is the last line of an explanation.
func (a *Answer) text() string {
	switch a.Why {
	case Deployed:
		return "profile " + a.Profile + " by deployment " + a.Deployment.ID
	case Approved:
		if a.Profile == "" {
			return describeMark("approved", a.Machine.Approved.Mark)
		}
		return describeMark("approved with profile "+a.Profile, a.Machine.Approved.Mark)
	case NothingDeployed:
		return "nothing is deployed to it"
	case Unknown:
		return "unknown: no deployment, group or operator names it"
	case Held:
		return fmt.Sprintf("held since %s, asked about %d times: waits for an operator's approval", a.Machine.FirstSeen.UTC().Format(time.RFC3339), a.Machine.Tries)
	case IsIgnored:
		return "ignored"
	}
	return "no deployment can be given to it (" + a.Why.String() + ")"
}

func describeMark(what string, m Mark) string {
	what += " since " + m.Time.UTC().Format(time.RFC3339)
	if m.By != "" {
		what += " by " + m.By
	}
	if m.Reason != "" {
		what += ": " + m.Reason
	}
	return what
}

func list(ids []Identity, except Identity) string {
	var words []string
	for _, id := range ids {
		if id == except {
			continue
		}
		if len(words) == 4 {
			words = append(words, "…")
			break
		}
		words = append(words, id.String())
	}
	return strings.Join(words, ", ")
}
