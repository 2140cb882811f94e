package api

import (
	"context"
	"net/http"

	"github.com/xdpxe/xdpxe/responder/fleet"
)

func (a *api) members(w http.ResponseWriter, _ *http.Request) error {
	var out Members
	var all []fleet.Member
	switch {
	case a.o.Fleet != nil:
		st := a.o.Fleet.Status()
		out.Self, out.Fleet, out.Member = a.o.Fleet.View().Self().Name, true, st.Member
		if st.Err != nil {
			out.Problem = st.Err.Error()
		}
		all = a.o.Fleet.Members()
	case a.o.Self != nil:
		self := a.o.Self()
		out.Self, all = self.Name, []fleet.Member{self}
	}
	out.Items = make([]Member, len(all))
	for i, m := range all {
		out.Items[i] = Member(m)
	}
	return answer(w, http.StatusOK, out)
}

func (a *api) drain(w http.ResponseWriter, r *http.Request) error {
	return a.setDraining(w, r, Fleet.Drain)
}

func (a *api) resume(w http.ResponseWriter, r *http.Request) error {
	return a.setDraining(w, r, Fleet.Resume)
}

func (a *api) setDraining(w http.ResponseWriter, r *http.Request, do func(Fleet, context.Context) error) error {
	if a.o.Fleet == nil {
		return problem(http.StatusConflict, CodeRefused, "this server is in no fleet: its configuration has no etcd in store:")
	}
	if err := do(a.o.Fleet, r.Context()); err != nil {
		return err
	}
	return a.members(w, r)
}

func (a *api) profiles(w http.ResponseWriter, _ *http.Request) error {
	var all []Profile
	if a.o.Profiles != nil {
		all = a.o.Profiles()
	}
	return answer(w, http.StatusOK, pageOf(all, false, func(p Profile) string { return p.Name }))
}

func (a *api) explain(w http.ResponseWriter, r *http.Request) error {
	if a.o.Explain == nil {
		return problem(http.StatusNotFound, CodeNotFound, "this daemon explains nothing")
	}
	var q Query
	for _, f := range q.fields() {
		*f.value = r.URL.Query().Get(f.name)
	}
	e, err := a.o.Explain(q)
	if err != nil {
		if fields := mistakes(err); len(fields) > 0 {
			return badParam(fields[0].Field, fields[0].Message)
		}
		return err
	}
	if e.Steps == nil {
		e.Steps = []Step{}
	}
	return answer(w, http.StatusOK, e)
}
