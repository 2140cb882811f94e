package deploy

import (
	"fmt"
	"time"
)

// EventKind says what happened.
type EventKind string

const (
	Asked     EventKind = "asked"      // an answer goes to the machine
	Began     EventKind = "began"      // a transfer to it begins
	Moved     EventKind = "moved"      // a transfer went on
	LastBlock EventKind = "last_block" // a file's last block is about to be sent, and waits for what becomes of the event
	Fetched   EventKind = "fetched"    // the last block is acknowledged
	Broke     EventKind = "broke"      // a transfer ended otherwise
	Called    EventKind = "called"     // the installer calls back
	Armed     EventKind = "armed"      // an operator lets it run again
)

// Event is something that happened to a run.
type Event struct {
	Kind    EventKind
	Address Identity // the machine
	Server  string   // this server
	Chained bool     // Asked: by a program that was booted before (iPXE), not by firmware
	File    string   // of a transfer
	NBP     bool     // File is the boot program that the machine was answered with
	Claim   string   // names the transfer, among all servers'
	Sent    int64
	Size    int64
	Failed  bool   // Called: the installer failed
	Message string // Broke, Called, Armed: for people
}

// Save says what has to become of the run that Next returns.
type Save int

const (
	Nothing Save = iota // it is the same
	Later               // store it when there is time
	First               // store it before anything else is done: what happens next relies on it
)

// Refused says why an event cannot be: the transfer is ended, the call back
// answered, the operator told with it.
type Refused struct {
	ID    string // of the deployment
	State State
	Why   string
}

func (e *Refused) Error() string {
	return fmt.Sprintf("deployment %s is %s: %s", e.ID, e.State, e.Why)
}

// moveEvery bounds how often progress is stored.
const moveEvery = 5 * time.Second

// Next returns the run after an event. It is a function of its arguments
// alone; the store decides between servers, by the run's revision.
func (r Run) Next(d *Deployment, e Event, now time.Time) (Run, Save, error) {
	at := r.At(d, now)
	refuse := func(why string, args ...any) (Run, Save, error) {
		return r, Nothing, &Refused{ID: d.ID, State: at.State, Why: fmt.Sprintf(why, args...)}
	}
	if e.Kind == Armed {
		switch at.State {
		case Cancelled, Expired:
			return refuse("deploy to the machine anew")
		case Waiting:
			return refuse("nothing to arm again")
		}
		return Run{State: Waiting, Since: now, Reason: orText(e.Message, "armed again"), Attempt: r.Attempt + 1}, First, nil
	}
	if at.State == Cancelled {
		return refuse("%s", orText(at.Reason, "by an operator"))
	}
	if at.State == Expired && e.Kind != Called {
		return refuse("since %s", at.Since.Format(time.RFC3339))
	}
	if r.State == "" {
		r.State, r.Since = Waiting, d.Created
	}
	switch e.Kind {
	case Asked:
		return r.asked(d, e, now)
	case Began, Moved, Fetched, Broke:
		return r.transfer(d, e, now)
	case LastBlock:
		return r.lastBlock(d, e, now, refuse)
	case Called:
		if r.State == Waiting {
			return refuse("the machine was not booted by it")
		}
		return r.called(d, e, now)
	}
	return refuse("%q is no event", e.Kind)
}

func (r Run) to(s State, now time.Time, reason string) Run {
	r.State, r.Since, r.Reason = s, now, reason
	return r
}

func (r Run) asked(d *Deployment, e Event, now time.Time) (Run, Save, error) {
	switch {
	case d.Once && r.over():
		return r, Nothing, &Refused{ID: d.ID, State: r.At(d, now).State, Why: orText(r.Reason, "used up")}
	case r.State == Waiting:
	case r.State == Offered && (r.Address == e.Address && r.Server == e.Server || now.Sub(r.Since) < moveEvery):
		return r, Nothing, nil
	case r.State == Loading && !r.stale(now): // it asks again while it loads: iPXE, or another port of it
		return r, Nothing, nil
	case e.Chained && r.State != Offered:
		return r, Nothing, nil
	case r.State != Offered:
		r = Run{Attempt: r.Attempt + 1}
	}
	r.Address, r.Server = e.Address, e.Server
	return r.to(Offered, now, ""), Later, nil
}

// free is when a transfer that nothing is heard of counts as ended.
func (r *Run) free() time.Time {
	last := r.Since
	if r.Updated.After(last) {
		last = r.Updated
	}
	return last.Add(ConfirmWithin)
}

func (r *Run) stale(now time.Time) bool { return !now.Before(r.free()) }

// heldBy reports whether another machine of that identity is loading: two
// ports of one machine, or two machines with one UUID.
func (r *Run) heldBy(e Event, now time.Time) bool {
	return r.State == Loading && r.Address != e.Address && !r.stale(now)
}

func (r Run) transfer(d *Deployment, e Event, now time.Time) (Run, Save, error) {
	confirms := !r.Consumed.IsZero() && r.Claim == e.Claim && r.State == Loading
	switch {
	case d.Once && r.over() && !confirms: // what a machine fetches after it was booted
		return r, Nothing, nil
	case r.heldBy(e, now):
		return r, Nothing, nil
	case r.State == Waiting && e.Kind != Began: // of a transfer from before it was armed again
		return r, Nothing, nil
	}
	switch e.Kind {
	case Began:
		if confirms {
			return r, Nothing, nil
		}
		r.Address, r.Server, r.File, r.Sent, r.Size, r.Updated = e.Address, e.Server, e.File, e.Sent, e.Size, now
		return r.to(Loading, now, ""), Later, nil
	case Moved:
		if r.State != Loading || r.File != e.File || now.Sub(r.Updated) < moveEvery || e.Sent <= r.Sent {
			return r, Nothing, nil
		}
		r.Sent, r.Size, r.Updated = e.Sent, max(e.Size, r.Size), now
		return r, Later, nil
	case Fetched:
		return r.fetched(d, e, now), Later, nil
	}
	switch { // Broke
	case confirms:
		return r.to(Failed, now, fmt.Sprintf("%s was not acknowledged to its end: %s", r.File, e.Message)), Later, nil
	case r.State != Loading || r.File != e.File:
		return r, Nothing, nil
	}
	return r.rest(now, fmt.Sprintf("%s broke off: %s", e.File, e.Message)), Later, nil
}

// rest is the state between transfers.
func (r Run) rest(now time.Time, reason string) Run {
	if r.Booted.IsZero() {
		return r.to(Offered, now, reason)
	}
	return r.to(Booted, now, reason)
}

func (r Run) fetched(d *Deployment, e Event, now time.Time) Run {
	r.Address, r.Server, r.File, r.Sent, r.Size, r.Updated = e.Address, e.Server, e.File, e.Sent, e.Size, now
	if e.NBP {
		r.Booted = now
	}
	reason := e.File + " fetched"
	// Of a once-deployment only the transfer that consumed it reaches the milestone.
	if d.Milestone.is(e.File, e.NBP) && (!d.Once || !r.Consumed.IsZero()) {
		return r.to(Done, now, reason)
	}
	return r.rest(now, reason)
}

func (r Run) lastBlock(d *Deployment, e Event, now time.Time, refuse func(string, ...any) (Run, Save, error)) (Run, Save, error) {
	switch {
	case !d.Once || !d.Milestone.is(e.File, e.NBP):
		return r, Nothing, nil
	case !r.Consumed.IsZero() && r.Claim == e.Claim && r.State != Failed:
		return r, Nothing, nil // it has the right, and is told so once more
	case r.over():
		return refuse("it was used up before (%s)", orText(r.Reason, "another transfer of "+e.File+" ends"))
	case now.Before(d.NotBefore):
		return refuse("its window opens at %s", d.NotBefore.Format(time.RFC3339))
	case r.heldBy(e, now):
		return refuse("it is loaded by %s", r.Address)
	}
	r.Address, r.Server, r.File, r.Sent, r.Size, r.Updated = e.Address, e.Server, e.File, e.Sent, e.Size, now
	r.Consumed, r.Claim = now, e.Claim
	return r.to(Loading, now, "the last block of "+e.File+" goes out"), First, nil
}

func (r Run) called(d *Deployment, e Event, now time.Time) (Run, Save, error) {
	state, reason := Done, orText(e.Message, "the installer called back")
	if e.Failed {
		state, reason = Failed, orText(e.Message, "the installer says that it failed")
	}
	if r.State == state && r.Reason == reason {
		return r, Nothing, nil
	}
	if d.Once && r.Consumed.IsZero() {
		r.Consumed = now
	}
	return r.to(state, now, reason), First, nil
}
