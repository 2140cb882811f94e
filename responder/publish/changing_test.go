package publish

import (
	"math/rand/v2"
	"testing"

	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// changing is a policy that decides by what changes: otherwise from the call number after on.
type changing struct {
	*policy.Snapshot
	calls, after int
	trials       int
}

func (p *changing) Decide(m *policy.Machine) policy.Decision {
	d := p.Snapshot.Decide(m)
	if m.Trial {
		p.trials++
	}
	if p.calls++; p.calls > p.after {
		d = policy.Decision{Reason: packet.NothingDeployed, Arch: d.Arch, Cacheable: true}
	}
	return d
}

// A decision that changes while the template is made of it makes none, and is no
// bug. All that is asked for it is a trial.
func TestChangesMeanwhile(t *testing.T) {
	snapshot, err := policy.Compile(files())
	if err != nil {
		t.Fatal(err)
	}
	for after := 1; after <= 2+tries+1; after++ {
		p := &changing{Snapshot: snapshot, after: after}
		r := dhcp.New(p, dhcp.Options{})
		in, out := requests()["uefi"], packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
		res := r.NewWorker().Handle(start, lan(), &in, &out)
		tpl, why := NewCompiler(rand.New(rand.NewPCG(1, 2))).Compile(start, &Request{Generation: 1, Answers: r, Link: lan(), Packet: in, Result: res})
		want := WhyVoid
		if after >= 2+tries+1 { // the request itself, once more, and all trials of the template
			want = Published
		}
		if why != want || (tpl != nil) != (want == Published) || p.trials != p.calls-1 {
			t.Errorf("after call %d of %d: %v, want %v; %d trials", after, p.calls, why, want, p.trials)
		}
	}
}

// What the catalogue decides is published for one machine, answers and silences.
func TestPublishable(t *testing.T) {
	snapshot, err := policy.Compile(files())
	if err != nil {
		t.Fatal(err)
	}
	for reason, want := range map[packet.Reason]Why{
		packet.NothingDeployed: Published, packet.LocalBoot: Published, packet.MachineIgnored: Published,
		packet.MachineHeld: WhyOutcome, packet.Delayed: WhyOutcome, packet.OtherOwner: WhyOutcome, packet.WebhookWaits: WhyOutcome, packet.WebhookFailed: WhyOutcome,
	} {
		r := dhcp.New(&silent{snapshot, reason}, dhcp.Options{})
		tpl, why, res := compileOf(t, r, lan(), requests()["uefi"])
		if why != want || res.Reason != reason || tpl != nil && (tpl.Reply != nil || tpl.Outcome != OutcomeOf(dhcp.StageDiscover, reason)) {
			t.Errorf("%v: %v, want %v", reason, why, want)
		}
	}
}

// silent decides on one reason for everybody.
type silent struct {
	*policy.Snapshot
	reason packet.Reason
}

func (p *silent) Decide(*policy.Machine) policy.Decision {
	return policy.Decision{Reason: p.reason, Cacheable: true}
}
