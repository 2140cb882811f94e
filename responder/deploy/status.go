package deploy

import (
	"slices"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

// Status is a deployment as it is shown: what was asked for and how far it is.
type Status struct {
	Deployment
	Revision store.Rev `json:"revision"`               // of deployment and runs together: the ETag
	Name     string    `json:"machine_name,omitempty"` // what operators call the machine that is named

	// State and what follows are the run's, of a single machine. A group's is that
	// of the machine that needs most attention, and Machines counts all by state.
	Run      Run           `json:"run"`
	Machines map[State]int `json:"machines,omitempty"`
}

// GroupRun is one machine's run of a group's deployment.
type GroupRun struct {
	Machine Identity `json:"machine"`
	Name    string   `json:"name,omitempty"` // what operators call it
	Run     Run      `json:"run"`
}

// attention orders states for a group's summary.
var attention = [...]State{Failed, Loading, Booted, Offered, Waiting, Done, Expired, Cancelled}

func (s *Snapshot) status(n *node, now time.Time) Status {
	st := Status{Deployment: *n.d, Revision: n.rev}
	if n.d.Target.Group == "" {
		r, rev := n.runOf(Identity{})
		st.Run, st.Revision = r.At(n.d, now), max(n.rev, rev)
		st.Name = s.name(n.d.Target.Machine())
		return st
	}
	st.Machines = make(map[State]int)
	shown := make(map[State]GroupRun)
	g := s.group(n.d.Target.Group)
	for machine := range g.members.all {
		r, rev := n.runOf(machine)
		r = r.At(n.d, now)
		st.Revision = max(st.Revision, rev)
		st.Machines[r.State]++
		old, ok := shown[r.State]
		if c := r.Since.Compare(old.Run.Since); !ok || c > 0 || c == 0 && compare(machine, old.Machine) < 0 {
			shown[r.State] = GroupRun{Machine: machine, Run: r}
		}
	}
	st.Run = Run{}.At(n.d, now) // of a group without members
	for _, state := range attention {
		if r, ok := shown[state]; ok {
			st.Run = r.Run
			break
		}
	}
	return st
}

// name is what operators call a machine.
func (s *Snapshot) name(id Identity) string {
	if m := s.entry(id.key()).machine; m != nil {
		return m.Name
	}
	return ""
}

// over reports whether nothing more comes of a deployment by itself, whoever
// asks, and since when.
func (s *Snapshot) over(n *node, now time.Time) (since time.Time, over bool) {
	d := n.d
	switch {
	case d.Cancelled != nil:
		return d.Cancelled.Time, true
	case !d.NotAfter.IsZero() && !now.Before(d.NotAfter.Add(ConfirmWithin)):
		return d.NotAfter, true
	case d.Once && d.Target.Group == "":
		r, _ := n.runOf(Identity{})
		r = r.At(d, now)
		return r.Since, r.State == Done || r.State == Failed
	}
	return time.Time{}, false
}

// GroupRuns returns the runs of a group's deployment behind a machine, in
// order, at most limit; more says that there are others.
func (s *Snapshot) GroupRuns(id string, after Identity, limit int, now time.Time) (runs []GroupRun, more bool) {
	n, ok := s.deployments.get(id)
	if !ok {
		return nil, false
	}
	members, more := s.Members(n.d.Target.Group, after, limit)
	for _, m := range members {
		r, _ := n.runOf(m)
		runs = append(runs, GroupRun{Machine: m, Name: s.name(m), Run: r.At(n.d, now)})
	}
	return runs, more
}

// Members returns a group's machines behind one, in order, at most limit; more
// says that there are others.
func (s *Snapshot) Members(name string, after Identity, limit int) (members []Identity, more bool) {
	g := s.group(name)
	for machine := range g.members.all {
		if after.IsZero() || compare(machine, after.key()) > 0 {
			members = append(members, machine)
		}
	}
	slices.SortFunc(members, compare)
	if more = len(members) > limit; more {
		members = members[:limit]
	}
	return members, more
}

// Duplicate is a UUID that several hardware addresses were seen with: one
// machine's ports, or several machines with a vendor's mistake.
type Duplicate struct {
	UUID     Identity   `json:"uuid"`
	Machines []Identity `json:"machines"` // at most 64
}

// Duplicates returns the UUIDs that are no machine's own, in order.
func (s *Snapshot) Duplicates() []Duplicate {
	var out []Duplicate
	for id, e := range s.entries.all {
		if len(e.bearers) > 1 {
			out = append(out, Duplicate{id, e.bearers})
		}
	}
	slices.SortFunc(out, func(a, b Duplicate) int { return compare(a.UUID, b.UUID) })
	return out
}

// Stats counts what is known.
type Stats struct {
	Available   bool `json:"available"` // the store answers; else once-deployments are not given
	Deployments int  `json:"deployments"`
	Machines    int  `json:"machines"` // recorded
	Held        int  `json:"held"`
	Groups      int  `json:"groups"`
	Ignored     int  `json:"ignored"`
	Problems    int  `json:"problems"` // records that cannot be read
}

// Stats returns them.
func (s *Snapshot) Stats() Stats {
	return Stats{s.Available(), s.deployments.n, s.machines, s.held, s.groups.n, s.ignored, s.problems.n}
}

// States counts the deployments by state. A group's is that of the machine that
// needs most attention.
func (s *Snapshot) States(now time.Time) map[State]int {
	states := make(map[State]int)
	for _, n := range s.deployments.all {
		if n.d.Target.Group != "" {
			states[s.status(n, now).Run.State]++
			continue
		}
		r, _ := n.runOf(Identity{})
		states[r.At(n.d, now).State]++
	}
	return states
}

// Problem is a record of the store that cannot be read and so is not there.
type Problem struct {
	Key string `json:"key"`
	Err string `json:"error"`
}

// Problems returns at most limit of them, in order of their keys.
func (s *Snapshot) Problems(limit int) []Problem {
	var out []Problem
	for key, err := range s.problems.all {
		out = append(out, Problem{key, err})
	}
	slices.SortFunc(out, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
	return out[:min(limit, len(out))]
}
