package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

func (a *api) groups(w http.ResponseWriter, r *http.Request) error {
	_, s, err := a.loaded()
	if err != nil {
		return err
	}
	page, err := cut(r, s.Groups(), func(g deploy.GroupStatus) string { return g.Name })
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, page)
}

func (a *api) tellGroup(w http.ResponseWriter, c *deploy.Catalogue, name string) error {
	g, ok := c.Snapshot().Group(name)
	if !ok {
		return notFound("group", name)
	}
	setETag(w, g.Revision)
	return answer(w, http.StatusOK, g)
}

func (a *api) group(w http.ResponseWriter, r *http.Request) error {
	c, _, err := a.loaded()
	if err != nil {
		return err
	}
	return a.tellGroup(w, c, r.PathValue("name"))
}

func (a *api) putGroup(w http.ResponseWriter, r *http.Request) error {
	c, s, err := a.loaded()
	if err != nil {
		return err
	}
	m, err := ifMatch(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	if _, ok := s.Group(name); !ok && m.exists {
		return problem(http.StatusPreconditionFailed, CodeChanged, fmt.Sprintf("there is no group %q", clip(name)))
	}
	var body GroupNote
	if err := decode(w, r, maxBody, &body); err != nil {
		return err
	}
	if err := c.PutGroup(r.Context(), name, m.rev, body.Note, caller(r), a.o.Now()); err != nil {
		return err
	}
	return a.tellGroup(w, c, name)
}

func (a *api) deleteGroup(w http.ResponseWriter, r *http.Request) error {
	c, _, err := a.loaded()
	if err != nil {
		return err
	}
	m, err := ifMatch(r)
	if err != nil {
		return err
	}
	if err := c.DeleteGroup(r.Context(), r.PathValue("name"), m.rev, a.o.Now()); err != nil {
		return err
	}
	return noContent(w)
}

func (a *api) groupMembers(w http.ResponseWriter, r *http.Request) error {
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
	name := r.PathValue("name")
	if _, ok := s.Group(name); !ok {
		return notFound("group", name)
	}
	members, more := s.Members(name, after, limit)
	return answer(w, http.StatusOK, pageOf(members, more, deploy.Identity.String))
}

// Bounds of one change: a UUID takes 39 bytes of JSON, with spaces perhaps more.
const (
	maxMembers     = deploy.MaxCreate
	maxMembersBody = 2 << 20
)

func (a *api) changeMembers(w http.ResponseWriter, r *http.Request) error {
	c, s, err := a.loaded()
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	if _, ok := s.Group(name); !ok {
		return notFound("group", name)
	}
	var change MembersChange
	if err := decode(w, r, maxMembersBody, &change); err != nil {
		return err
	}
	if n := len(change.Add) + len(change.Remove); n > maxMembers {
		return problem(http.StatusRequestEntityTooLarge, CodeTooLarge, fmt.Sprintf("%d machines in one call, at most %d: divide them", n, maxMembers))
	}
	for i, m := range change.Remove {
		if m.IsZero() {
			return invalidFields([]FieldError{{fmt.Sprintf("remove[%d]", i), "is no machine"}})
		}
	}
	if err := c.AddMembers(r.Context(), name, change.Add); err != nil {
		if bad := (*deploy.Invalid)(nil); errors.As(err, &bad) {
			return invalidFields([]FieldError{{"add" + bad.Field, bad.Msg}})
		}
		return err
	}
	if err := c.RemoveMembers(r.Context(), name, change.Remove); err != nil {
		return err
	}
	return a.tellGroup(w, c, name)
}
