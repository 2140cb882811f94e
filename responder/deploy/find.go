package deploy

import "time"

// Why says what Find found.
type Why uint8

const (
	Deployed        Why = iota // answer, with Answer.Profile
	Approved                   // nothing is deployed, but an operator approved the machine, perhaps with a profile
	NothingDeployed            // the machine is known: a deployment or group names it, or an operator has
	Unknown                    // nobody has named it; it may have been seen
	Held                       // recorded, and not yet approved
	IsIgnored                  // on the ignore list
	TooEarly                   // the deployment's window is not open yet
	TooLate                    // the deployment has expired
	UsedUp                     // once, and it was
	HasFailed                  // once, and it failed: to be armed again
	WasCancelled               // by an operator
	OtherLoads                 // another machine with that UUID is loading it
	StoreGone                  // once, and the store cannot be asked whether it was used up
	NotLoaded                  // the store has not been read yet

	numWhys
)

var whyNames = [numWhys]string{
	Deployed: "deployed", Approved: "approved", NothingDeployed: "nothing_deployed", Unknown: "unknown_machine",
	Held: "held", IsIgnored: "ignored", TooEarly: "too_early", TooLate: "expired", UsedUp: "used_up", HasFailed: "failed",
	WasCancelled: "cancelled", OtherLoads: "other_loads", StoreGone: "store_gone", NotLoaded: "not_loaded",
}

// String is the word for metrics and logs.
func (w Why) String() string {
	if w < numWhys {
		return whyNames[w]
	}
	return "invalid"
}

// Answer is what is deployed to a machine, or why nothing is. What it points to
// is shared and for reading only.
type Answer struct {
	Why        Why
	Deployment *Deployment // Deployed: this; else the one that Why is about, if any
	Run        RunID       // names the machine's run of it, for events
	Profile    string      // Deployed and Approved
	Machine    *Machine    // what is recorded; nil: nothing
	Ignored    *Ignored
	// Until is when the answer can be another by the clock alone; zero: never.
	Until time.Time
}

// candidates walks the deployments for one client.
type candidates struct {
	s      *Snapshot
	now    time.Time
	by     Identity // the client's
	best   *node
	answer Answer
}

// Find returns what is deployed to a client, or why nothing is: the ignore
// list, then the weightiest deployment that can be had, then what is known of
// the machine. It does no I/O, takes no lock and does not allocate.
func (s *Snapshot) Find(c Client, now time.Time) Answer {
	if !s.loaded {
		return Answer{Why: NotLoaded}
	}
	mac, uuid := c.Identities()
	known := s.entry(mac)
	same := s.entry(uuid.key())
	answer := Answer{Why: Unknown}
	if m := known.machine; m != nil {
		answer.Machine = &m.Machine
	}
	// Approved by its UUID counts too.
	if m := same.machine; m != nil && (mac.IsZero() || m.Approved != nil && (known.machine == nil || known.machine.Approved == nil)) {
		answer.Machine = &m.Machine
	}
	if i := s.ignores(mac, known, same); i != nil {
		answer.Why, answer.Ignored = IsIgnored, i
		return answer
	}
	w := candidates{s: s, now: now, by: c.ID(), answer: answer}
	named := w.entry(known, mac) + w.entry(same, uuid.key())
	if w.answer.Why == Deployed {
		return w.answer
	}
	w.answer.of(named > 0)
	return w.answer
}

// of says what becomes of a machine to which nothing is deployed.
func (a *Answer) of(named bool) {
	switch m := a.Machine; {
	case m != nil && m.Approved != nil:
		a.Why, a.Profile = Approved, m.Approved.Profile
	case a.Why != Unknown: // a deployment's reason
	case m != nil && m.Held:
		a.Why = Held
	case named || m != nil && m.described():
		a.Why = NothingDeployed
	}
}

// noEntry is what is known of strangers.
var noEntry = &entry{}

func (s *Snapshot) entry(id Identity) *entry {
	if !id.IsZero() {
		if e, ok := s.entries.get(id); ok {
			return e
		}
	}
	return noEntry
}

func (s *Snapshot) ignores(mac Identity, known, same *entry) *Ignored {
	rec := known.ignored
	if rec == nil {
		rec = same.ignored
	}
	if rec == nil && mac.n >= 3 {
		rec = s.vendors[[3]byte(mac.b[:3])]
	}
	if rec == nil {
		return nil
	}
	return &rec.Ignored
}

// entry looks at all deployments of one identity and its groups, and returns how often it is named.
func (w *candidates) entry(e *entry, id Identity) int {
	for _, n := range e.nodes {
		w.node(n, id)
	}
	for _, name := range e.groups {
		if g, ok := w.s.groups.get(name); ok {
			for _, n := range g.nodes {
				w.node(n, id)
			}
		}
	}
	return len(e.nodes) + len(e.groups)
}

func (w *candidates) node(n *node, id Identity) {
	why, until := w.judge(n, id)
	if !until.IsZero() && (w.answer.Until.IsZero() || until.Before(w.answer.Until)) {
		w.answer.Until = until
	}
	if w.best != nil {
		switch was := w.answer.Why == Deployed; {
		case was && why != Deployed:
			return
		case was == (why == Deployed) && weight(n, w.best) >= 0:
			return
		}
	}
	w.best = n
	w.answer.Why, w.answer.Deployment, w.answer.Run, w.answer.Profile = why, n.d, RunID{n.d.ID, id}, ""
	if why == Deployed {
		w.answer.Profile = n.d.Profile
	}
}

// judge says whether the client can have a deployment now, and when the clock
// alone may change that.
func (w *candidates) judge(n *node, id Identity) (why Why, until time.Time) {
	d := n.d
	r, _ := n.runOf(id)
	switch {
	case d.Cancelled != nil:
		return WasCancelled, time.Time{}
	case d.Once && r.State == Failed:
		return HasFailed, time.Time{}
	case d.Once && r.over():
		if r.lapsed(w.now) {
			return HasFailed, time.Time{}
		}
		return UsedUp, time.Time{}
	case !d.NotAfter.IsZero() && !w.now.Before(d.NotAfter):
		return TooLate, time.Time{}
	case w.now.Before(d.NotBefore):
		return TooEarly, d.NotBefore
	case d.Once && !w.s.available:
		return StoreGone, time.Time{}
	case d.Once && r.heldBy(Event{Address: w.by}, w.now):
		return OtherLoads, r.free()
	}
	return Deployed, d.NotAfter
}

// Loaded returns the deployment that a client was booted with last, also if it
// was used up by that: what the machine goes on to fetch is of this one.
func (s *Snapshot) Loaded(c Client) (d *Deployment, run RunID) {
	mac, uuid := c.Identities()
	by := c.ID()
	var last time.Time
	for _, l := range s.listed(s.entry(mac), mac, s.entry(uuid.key()), uuid.key()) {
		r, _ := l.n.runOf(l.id)
		began := r.State == Loading || r.State == Booted || r.State == Done
		if began && r.Address == by && r.Since.After(last) && l.n.d.Cancelled == nil {
			last, d, run = r.Since, l.n.d, RunID{l.n.d.ID, l.id}
		}
	}
	return d, run
}
