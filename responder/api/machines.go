package api

import (
	"net/http"
	"slices"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

var machineStates = []string{MachineHeld, MachineApproved, MachineIgnored}

func (a *api) machines(w http.ResponseWriter, r *http.Request) error {
	_, s, err := a.loaded()
	if err != nil {
		return err
	}
	limit, err := limitOf(r)
	if err != nil {
		return err
	}
	after, err := identityParam(r, "after")
	if err != nil {
		return err
	}
	state := r.URL.Query().Get("state")
	if state != "" && !slices.Contains(machineStates, state) {
		return badParam("state", "is none of held, approved, ignored")
	}
	f := deploy.MachineFilter{Held: state == MachineHeld, Approved: state == MachineApproved, Ignored: state == MachineIgnored, Group: r.URL.Query().Get("group")}
	items, more := s.Machines(f, after, limit)
	return answer(w, http.StatusOK, pageOf(items, more, func(m deploy.MachineStatus) string { return m.ID.String() }))
}

// machine tells all that is known of one. A daemon without deployments still
// has a timeline.
func (a *api) machine(w http.ResponseWriter, r *http.Request) error {
	id, err := machineOf(r)
	if err != nil {
		return err
	}
	m := Machine{MachineStatus: deploy.MachineStatus{Machine: deploy.Machine{ID: id}}}
	if a.o.History != nil {
		m.Timeline = a.o.History.Machine(id)
	}
	if a.o.Catalogue != nil {
		_, s, err := a.loaded()
		if err != nil {
			return err
		}
		if st, ok := s.Machine(id); ok {
			m.MachineStatus, m.Recorded = st, true
			setETag(w, st.Revision)
		}
		m.Deployments, _ = s.Deployments(deploy.Filter{Machine: id}, "", deploy.MaxPage, a.o.Now())
	}
	if !m.Recorded && len(m.Deployments) == 0 && len(m.Timeline) == 0 {
		return notFound("machine", id.String())
	}
	return answer(w, http.StatusOK, m)
}

// recorded reads what all changes of a machine's record begin with. For
// If-Match: * it must be there.
func (a *api) recorded(r *http.Request) (c *deploy.Catalogue, id deploy.Identity, m match, err error) {
	c, s, err := a.loaded()
	if err != nil {
		return c, id, m, err
	}
	if id, err = machineOf(r); err != nil {
		return c, id, m, err
	}
	if m, err = ifMatch(r); err != nil {
		return c, id, m, err
	}
	if _, ok := s.Machine(id); !ok && m.exists {
		err = problem(http.StatusPreconditionFailed, CodeChanged, "machine "+id.String()+" is not recorded")
	}
	return c, id, m, err
}

func (a *api) tellMachine(w http.ResponseWriter, c *deploy.Catalogue, id deploy.Identity) error {
	m, ok := c.Snapshot().Machine(id)
	if !ok {
		return notFound("machine", id.String())
	}
	setETag(w, m.Revision)
	return answer(w, http.StatusOK, m)
}

func (a *api) describe(w http.ResponseWriter, r *http.Request) error {
	c, id, m, err := a.recorded(r)
	if err != nil {
		return err
	}
	var p MachinePatch
	if err := decode(w, r, maxBody, &p); err != nil {
		return err
	}
	if p.Name == nil && p.Note == nil {
		return invalidFields([]FieldError{{"name", "or note is needed"}})
	}
	if err := c.Describe(r.Context(), id, m.rev, p.Name, p.Note); err != nil {
		return err
	}
	return a.tellMachine(w, c, id)
}

func (a *api) forget(w http.ResponseWriter, r *http.Request) error {
	c, id, m, err := a.recorded(r)
	if err != nil {
		return err
	}
	if err := c.Forget(r.Context(), id, m.rev); err != nil {
		return err
	}
	return noContent(w)
}

func (a *api) approve(w http.ResponseWriter, r *http.Request) error {
	c, id, m, err := a.recorded(r)
	if err != nil {
		return err
	}
	var body Approve
	if err := decode(w, r, maxBody, &body); err != nil {
		return err
	}
	if a.o.Profiles != nil {
		if msg := profileMistake(a.profileNames(), body.Profile); msg != "" {
			return invalidFields([]FieldError{{"profile", msg}})
		}
	}
	if err := c.Approve(r.Context(), id, m.rev, body.Profile, caller(r), body.Reason, a.o.Now()); err != nil {
		return err
	}
	return a.tellMachine(w, c, id)
}

func (a *api) ignored(w http.ResponseWriter, r *http.Request) error {
	_, s, err := a.loaded()
	if err != nil {
		return err
	}
	page, err := cut(r, s.IgnoreList(), func(i deploy.IgnoredStatus) string { return i.Pattern.String() })
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, page)
}

// pattern reads the one of the path.
func (a *api) pattern(r *http.Request) (*deploy.Catalogue, deploy.Pattern, error) {
	c, _, err := a.loaded()
	if err != nil {
		return nil, deploy.Pattern{}, err
	}
	p, err := deploy.ParsePattern(r.PathValue("pattern"))
	if err != nil {
		return nil, p, badParam("pattern", err.Error())
	}
	return c, p, nil
}

func (a *api) ignore(w http.ResponseWriter, r *http.Request) error {
	c, p, err := a.pattern(r)
	if err != nil {
		return err
	}
	var why Reason
	if err := decode(w, r, maxBody, &why); err != nil {
		return err
	}
	if err := c.Ignore(r.Context(), p, caller(r), why.Reason, a.o.Now()); err != nil {
		return err
	}
	return noContent(w)
}

func (a *api) unignore(w http.ResponseWriter, r *http.Request) error {
	c, p, err := a.pattern(r)
	if err != nil {
		return err
	}
	if err := c.Unignore(r.Context(), p); err != nil {
		return err
	}
	return noContent(w)
}
