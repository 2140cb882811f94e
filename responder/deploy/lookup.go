package deploy

import "time"

// What follows is for those who serve files to a machine that was answered.

// Read reports whether the store has been read: until then nothing is known of
// anybody.
func (s *Snapshot) Read() bool { return s.loaded }

// RunOf returns a deployment and the run of it that a client has part in; false:
// there is none.
func (s *Snapshot) RunOf(id string, c Client) (d *Deployment, run RunID, ok bool) {
	n, ok := s.deployments.get(id)
	if !ok {
		return nil, RunID{}, false
	}
	mac, uuid := c.Identities()
	for _, machine := range [...]Identity{mac, uuid.key()} {
		if !machine.IsZero() && s.names(n, machine) {
			return n.d, RunID{id, machine}, true
		}
	}
	return nil, RunID{}, false
}

// Run returns how far a machine is; the zero Run is one that waits.
func (s *Snapshot) Run(run RunID, now time.Time) Run {
	n, ok := s.deployments.get(run.ID)
	if !ok {
		return Run{}
	}
	r, _ := n.runOf(run.Machine)
	return r.At(n.d, now)
}

// EndsWith reports whether a deployment is used up by the last block of a file.
// nbp says that it is the boot program that the machine was answered with.
func (d *Deployment) EndsWith(file string, nbp bool) bool {
	return d.Once && d.Milestone.is(file, nbp)
}

// Once calls yield with the deployments that are used up once, and are not yet.
func (s *Snapshot) Once(now time.Time) func(yield func(*Deployment) bool) {
	return func(yield func(*Deployment) bool) {
		for _, n := range s.deployments.all {
			if _, over := s.over(n, now); n.d.Once && !over && !yield(n.d) {
				return
			}
		}
	}
}
