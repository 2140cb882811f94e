package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// catalogue returns it, or the problem that there is none.
func (a *api) catalogue() (*deploy.Catalogue, error) {
	if a.o.Catalogue == nil {
		return nil, problem(http.StatusNotFound, CodeNoStore, "this daemon keeps no deployments: its configuration has no rule with boot: deployed or unknown:, and no store:")
	}
	return a.o.Catalogue, nil
}

// loaded is the catalogue's snapshot, once the store has been read.
func (a *api) loaded() (*deploy.Catalogue, *deploy.Snapshot, error) {
	c, err := a.catalogue()
	if err != nil {
		return nil, nil, err
	}
	select {
	case <-c.Ready():
		return c, c.Snapshot(), nil
	default:
		return nil, nil, problem(http.StatusServiceUnavailable, CodeUnavailable, "the store has not been read yet: nothing is known, and nothing can be changed")
	}
}

func notFound(what, name string) error {
	return fmt.Errorf("%s %q: %w", what, clip(name), deploy.ErrNotFound)
}

// clip shortens what a client wrote, for a message.
func clip(text string) string {
	if len(text) > 64 {
		return text[:61] + "..."
	}
	return text
}

var states = []string{string(deploy.Waiting), string(deploy.Offered), string(deploy.Loading), string(deploy.Booted),
	string(deploy.Done), string(deploy.Failed), string(deploy.Cancelled), string(deploy.Expired)}

func (a *api) deployments(w http.ResponseWriter, r *http.Request) error {
	_, s, err := a.loaded()
	if err != nil {
		return err
	}
	limit, err := limitOf(r)
	if err != nil {
		return err
	}
	machine, err := identityParam(r, "machine")
	if err != nil {
		return err
	}
	q := r.URL.Query()
	f := deploy.Filter{Machine: machine, Group: q.Get("group"), Profile: q.Get("profile"), State: deploy.State(q.Get("state"))}
	if f.State != "" && !slices.Contains(states, string(f.State)) {
		return badParam("state", "is none of "+strings.Join(states, ", "))
	}
	items, more := s.Deployments(f, q.Get("after"), limit, a.o.Now())
	return answer(w, http.StatusOK, pageOf(items, more, func(d deploy.Status) string { return d.ID }))
}

// pageOf is a page; name is what `after` says of an item.
func pageOf[T any](items []T, more bool, name func(T) string) Page[T] {
	p := Page[T]{Items: items}
	if items == nil {
		p.Items = []T{}
	}
	if more {
		p.Next = name(items[len(items)-1])
	}
	return p
}

// cut takes a page out of a list that is there as a whole, in any order that
// does not change. name must be different for all.
func cut[T any](r *http.Request, all []T, name func(T) string) (Page[T], error) {
	limit, err := limitOf(r)
	if err != nil {
		return Page[T]{}, err
	}
	if after := r.URL.Query().Get("after"); after != "" {
		i := slices.IndexFunc(all, func(item T) bool { return name(item) == after })
		if i < 0 {
			return Page[T]{}, badParam("after", "is none of the list any more: begin anew")
		}
		all = all[i+1:]
	}
	return pageOf(all[:min(len(all), limit)], len(all) > limit, name), nil
}

func (a *api) create(w http.ResponseWriter, r *http.Request) error {
	c, s, err := a.loaded()
	if err != nil {
		return err
	}
	select {
	case a.bulks <- struct{}{}:
		defer func() { <-a.bulks }()
	case <-r.Context().Done():
		return problem(http.StatusServiceUnavailable, CodeBusy, "other calls that create deployments take all the time: nothing was changed")
	}
	wanted, many, err := decodeDeployments(w, r)
	if err != nil {
		return err
	}
	ds := make([]deploy.Deployment, len(wanted))
	by := caller(r)
	for i, d := range wanted {
		ds[i] = deploy.Deployment{ID: d.ID, Target: d.Target, Profile: d.Profile, Once: d.Once, Milestone: d.Milestone,
			NotBefore: d.NotBefore, NotAfter: d.NotAfter, Variables: d.Variables, Note: d.Note, By: by}
	}
	if err := a.checkProfiles(s, ds); err != nil {
		return err
	}
	created, err := c.Create(r.Context(), ds, a.o.Now())
	if err != nil {
		return err
	}
	if !many && created[0].Err != nil {
		return created[0].Err
	}
	results, status := resultsOf(created)
	if !many {
		setETag(w, created[0].Revision)
		w.Header().Set("Location", "/v1/deployments/"+url.PathEscape(created[0].ID))
	}
	return answer(w, status, results)
}

// resultsOf says what became of a call, and by which status.
func resultsOf(created []deploy.Created) (CreateResults, int) {
	out := CreateResults{Items: make([]CreateResult, len(created))}
	for i, c := range created {
		item := CreateResult{ID: c.ID, Revision: c.Revision, Existed: c.Existed}
		switch {
		case c.Err != nil:
			item.Problem = problemOf(c.Err, false)
			out.Failed++
		case c.Existed:
			out.Existed++
		default:
			out.Created++
		}
		out.Items[i] = item
	}
	switch {
	case out.Failed > 0:
		return out, http.StatusMultiStatus
	case out.Created > 0:
		return out, http.StatusCreated
	}
	return out, http.StatusOK
}

// checkProfiles refuses new deployments of profiles that the policy does not
// have: a slip that would be seen only when the machine does not boot.
func (a *api) checkProfiles(s *deploy.Snapshot, ds []deploy.Deployment) error {
	if a.o.Profiles == nil {
		return nil
	}
	names := a.profileNames()
	var bad []FieldError
	for i := range ds {
		msg := profileMistake(names, ds[i].Profile)
		if msg == "" {
			continue
		}
		if _, repeated := s.Deployment(ds[i].ID, a.o.Now()); repeated {
			continue
		}
		field := "profile"
		if len(ds) > 1 {
			field = fmt.Sprintf("[%d].profile", i)
		}
		if bad = append(bad, FieldError{field, msg}); len(bad) == maxErrors {
			break
		}
	}
	return invalidFields(bad)
}

func (a *api) profileNames() (names []string) {
	for _, p := range a.o.Profiles() {
		names = append(names, p.Name)
	}
	return names
}

// profileMistake says what is wrong with the name of a profile.
func profileMistake(known []string, name string) string {
	switch {
	case name == "" || slices.Contains(known, name): // that it is missing is said elsewhere
		return ""
	case len(known) == 0:
		return "the configuration has no profiles"
	}
	if near := policy.Suggest(name, known); near != "" {
		return fmt.Sprintf("there is no profile %q in the configuration: did you mean %s?", clip(name), near)
	}
	return fmt.Sprintf("there is no profile %q in the configuration: it has %s", clip(name), strings.Join(known[:min(len(known), 20)], ", "))
}

func invalidFields(bad []FieldError) error {
	if len(bad) == 0 {
		return nil
	}
	p := problem(http.StatusUnprocessableEntity, CodeInvalid, "nothing was changed: what was sent has mistakes")
	p.Errors = bad
	return p
}

// tell answers with a deployment as it is now.
func (a *api) tell(w http.ResponseWriter, c *deploy.Catalogue, id string) error {
	d, ok := c.Snapshot().Deployment(id, a.o.Now())
	if !ok {
		return notFound("deployment", id)
	}
	setETag(w, d.Revision)
	return answer(w, http.StatusOK, d)
}

func (a *api) deployment(w http.ResponseWriter, r *http.Request) error {
	c, _, err := a.loaded()
	if err != nil {
		return err
	}
	return a.tell(w, c, r.PathValue("id"))
}

func (a *api) deleteDeployment(w http.ResponseWriter, r *http.Request) error {
	c, _, err := a.loaded()
	if err != nil {
		return err
	}
	m, err := ifMatch(r)
	if err != nil {
		return err
	}
	if err := c.Delete(r.Context(), r.PathValue("id"), m.rev, a.o.Now()); err != nil {
		return err
	}
	return noContent(w)
}

func (a *api) cancel(w http.ResponseWriter, r *http.Request) error {
	c, _, err := a.loaded()
	if err != nil {
		return err
	}
	m, err := ifMatch(r)
	if err != nil {
		return err
	}
	var why Reason
	if err := decode(w, r, maxBody, &why); err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := c.Cancel(r.Context(), id, m.rev, caller(r), why.Reason, a.o.Now()); err != nil {
		return err
	}
	return a.tell(w, c, id)
}

func (a *api) arm(w http.ResponseWriter, r *http.Request) error {
	c, _, err := a.loaded()
	if err != nil {
		return err
	}
	m, err := ifMatch(r)
	if err != nil {
		return err
	}
	var body Arm
	if err := decode(w, r, maxBody, &body); err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := c.Arm(r.Context(), id, body.Machine, m.rev, caller(r), a.o.Now()); err != nil {
		return err
	}
	return a.tell(w, c, id)
}

// callback takes an installer's word. Whoever may use the API may give it in
// the installer's place; the installer itself shows the token of its run.
func (a *api) callback(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	var machine deploy.Identity
	if caller(r) == "" {
		var err error
		if machine, err = a.runOf(r, id); err != nil {
			return err
		}
	}
	c, _, err := a.loaded()
	if err != nil {
		return err
	}
	var word Callback
	if err := decode(w, r, maxBody, &word); err != nil {
		return err
	}
	switch {
	case machine.IsZero():
		machine = word.Machine
	case !word.Machine.IsZero() && !word.Machine.Same(machine):
		return invalidFields([]FieldError{{"machine", "is not " + machine.String() + ", which the token is for"}})
	}
	if err := c.CallBack(r.Context(), id, machine, word.Failed, word.Message, a.o.Now()); err != nil {
		return err
	}
	return noContent(w)
}

// runOf is the machine whose token for the deployment a request shows.
func (a *api) runOf(r *http.Request, id string) (deploy.Identity, error) {
	token := r.URL.Query().Get("token")
	if token == "" {
		token = bearer(r)
	}
	if token == "" || a.o.Tokens == nil {
		return deploy.Identity{}, unauthorized("a callback needs the token that templates have as {{.Deployment.CallbackToken}}, as in Authorization: Bearer TOKEN or ?token=TOKEN")
	}
	return a.o.Tokens.check(token, id)
}

// runs lists how far the machines of a deployment are.
func (a *api) runs(w http.ResponseWriter, r *http.Request) error {
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
	id := r.PathValue("id")
	d, ok := s.Deployment(id, a.o.Now())
	if !ok {
		return notFound("deployment", id)
	}
	runs, more := s.GroupRuns(id, after, limit, a.o.Now())
	if d.Target.Group == "" && after.IsZero() {
		runs = []deploy.GroupRun{{Machine: d.Target.Machine(), Run: d.Run}}
	}
	return answer(w, http.StatusOK, pageOf(runs, more, func(g deploy.GroupRun) string { return g.Machine.String() }))
}
