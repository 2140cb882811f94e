package publish

import (
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// Why says why the kernel does not answer a kind of request.
type Why uint8

const (
	Published Why = iota

	WhyOutcome    // no decision of the policy
	WhyNoPolicy   // the policy does not say what its decisions rest on
	WhyTemporary  // the decision holds for a time, or for this request
	WhyRelayFacts // circuit-id and remote-id are remembered from DISCOVER to 4011
	WhyNoted      // something is noted of the request, which is counted and looked into
	WhyOverload   // option 52
	WhyTooLong    // request or reply beyond MaxMessage
	WhySource     // 4011 from where no network is known to be answered alike
	WhyVoid       // decided by answers that no longer hold
	WhyDiffers    // a bug: the template does not do what tier 1 does
	WhyFull       // the kernel's tables, or ours
	WhyConflict   // the kernel holds another template for the same requests
	WhyRefused    // by the kernel
	WhyNoAnswers  // no answers are given in the kernel at this stage on this port

	NumWhys
)

var whys = [NumWhys]struct{ name, text string }{
	Published:     {"published", ""},
	WhyOutcome:    {"no_decision", "it is not the policy that decides"},
	WhyNoPolicy:   {"no_policy", "the policy does not say what its decisions rest on"},
	WhyTemporary:  {"not_cacheable", "the decision is not for keeps"},
	WhyRelayFacts: {"relay_facts", "a rule depends on circuit-id or remote-id, which is remembered from the DISCOVER"},
	WhyNoted:      {"noted", "something is noted of such requests (see NOTED OF REQUESTS)"},
	WhyOverload:   {"overload", "its options go on in other fields (option 52)"},
	WhyTooLong:    {"too_long", "request or answer is longer than 590 bytes"},
	WhySource:     {"source", "requests do not come from a network that is answered alike"},
	WhyVoid:       {"void", "the answers were about to change"},
	WhyDiffers:    {"differs", "a bug in xdpxe: the template's answer was not the right one; please report it"},
	WhyFull:       {"full", "there are more kinds of requests than the tables hold"},
	WhyConflict:   {"conflict", "the same request has another answer elsewhere"},
	WhyRefused:    {"refused", "the kernel refused the template (see the log)"},
	WhyNoAnswers:  {"no_answers", "answers are left to the daemon there"},
}

// String returns the metric label.
func (w Why) String() string { return whys[w].name }

// Text says it in words.
func (w Why) Text() string { return whys[w].text }

// publishable are the outcomes that a template may have. All else always goes
// up: what no policy decided, and lease requests above all.
const publishable = 1<<packet.Answered | 1<<packet.RuleIgnore | 1<<packet.DefaultIgnore |
	1<<packet.NoFileForArch | 1<<packet.UnknownArch | 1<<packet.ClientNotAllowed |
	1<<packet.NothingDeployed | 1<<packet.LocalBoot | 1<<packet.MachineIgnored

// reasons is how many an outcome's number has room for at each stage.
const reasons = 32

const _ = uint(reasons - packet.NumReasons) // they do have room

// NumOutcomes is the number of outcomes.
const NumOutcomes = int(dhcp.NumStages) * reasons

// OutcomeOf returns the number of an outcome.
func OutcomeOf(s dhcp.Stage, r packet.Reason) uint16 { return uint16(s)*reasons + uint16(r) }

// Ended returns what an outcome's number means.
func Ended(outcome int) (dhcp.Stage, packet.Reason) {
	return dhcp.Stage(outcome / reasons), packet.Reason(outcome % reasons)
}
