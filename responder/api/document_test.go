package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/fleet/membership"
	"github.com/xdpxe/xdpxe/responder/store"
)

// TestDocumentHasTheRoutes: both have the same methods, paths and parameters.
func TestDocumentHasTheRoutes(t *testing.T) {
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	line := func(method, path string, query, names []string) string {
		query, names = slices.Clone(query), slices.Clone(names)
		slices.Sort(query)
		slices.Sort(names)
		return fmt.Sprintf("%s %s query %v path %v", method, path, query, names)
	}
	var have, want []string
	for _, op := range d.Operations() {
		have = append(have, line(op.Method, op.Path, op.Query, op.InPath))
	}
	for _, rt := range routes {
		var names []string
		for part := range strings.SplitSeq(rt.path, "/") {
			if name, ok := strings.CutPrefix(part, "{"); ok {
				names = append(names, strings.TrimSuffix(name, "}"))
			}
		}
		want = append(want, line(rt.method, rt.path, rt.params, names))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("the document has\n%s\nthe handler\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

// wireTypes are the Go types of the document's schemas.
var wireTypes = map[string]any{
	"Problem": Problem{}, "FieldError": FieldError{}, "Target": deploy.Target{}, "Milestone": deploy.Milestone{}, "NewDeployment": NewDeployment{},
	"CreateResults": CreateResults{}, "CreateResult": CreateResult{}, "Deployment": deploy.Status{}, "Mark": deploy.Mark{}, "Run": deploy.Run{},
	"GroupRun": deploy.GroupRun{}, "Reason": Reason{}, "Arm": Arm{}, "Callback": Callback{}, "MachineStatus": deploy.MachineStatus{}, "Machine": Machine{},
	"Approval": deploy.Approval{}, "MachinePatch": MachinePatch{}, "Approve": Approve{}, "Ignored": deploy.Ignored{}, "IgnoredStatus": deploy.IgnoredStatus{},
	"Group": deploy.GroupStatus{}, "GroupNote": GroupNote{}, "MembersChange": MembersChange{}, "Profile": Profile{}, "Members": Members{}, "Member": Member{},
	"Entry": Entry{}, "Event": Event{}, "Dropped": Dropped{}, "Explanation": Explanation{}, "Step": Step{},
	"DeploymentPage": Page[deploy.Status]{}, "RunPage": Page[deploy.GroupRun]{}, "MachinePage": Page[deploy.MachineStatus]{}, "IgnoredPage": Page[deploy.IgnoredStatus]{},
	"GroupPage": Page[deploy.GroupStatus]{}, "IdentityPage": Page[deploy.Identity]{}, "ProfilePage": Page[Profile]{},
}

// TestDocumentHasTheTypes: each schema has the fields that the type has in
// JSON, of the same kind, and those are required that are always there.
func TestDocumentHasTheTypes(t *testing.T) {
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range d.Schemas() {
		v, ok := wireTypes[name]
		if !ok {
			if name != "Identity" {
				t.Errorf("schema %s is no type's", name)
			}
			continue
		}
		schema := d.Schema(name)
		props, _ := schema["properties"].(map[string]any)
		var required []string
		list, _ := schema["required"].([]any)
		for _, r := range list {
			required = append(required, r.(string))
		}
		fields := jsonFields(reflect.TypeOf(v))
		for field, f := range fields {
			prop, ok := props[field].(map[string]any)
			switch {
			case !ok:
				t.Errorf("%s: the schema has no %s", name, field)
			case slices.Contains(required, field) == f.optional:
				t.Errorf("%s.%s: the schema says required: %v", name, field, !f.optional)
			default:
				if have := schemaKind(prop); have != f.kind {
					t.Errorf("%s.%s is %s, the schema says %s", name, field, f.kind, have)
				}
			}
		}
		for field := range props {
			if _, ok := fields[field]; !ok {
				t.Errorf("%s: the type has no %s", name, field)
			}
		}
	}
	for name := range wireTypes {
		if d.Schema(name) == nil {
			t.Errorf("there is no schema %s", name)
		}
	}
	if have := d.Schema("Run")["properties"].(map[string]any)["state"].(map[string]any)["enum"]; fmt.Sprint(have) != fmt.Sprint(states) {
		t.Errorf("states are %v, the document says %v", states, have)
	}
}

type jsonField struct {
	kind     string
	optional bool
}

func jsonFields(t reflect.Type) map[string]jsonField {
	fields := make(map[string]jsonField)
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "":
			for name, sub := range jsonFields(f.Type) {
				fields[name] = sub
			}
		default:
			fields[name] = jsonField{kindOf(f.Type), strings.Contains(options, "omit")}
		}
	}
	return fields
}

// kindOf is a type in JSON: a schema's name, or a kind.
func kindOf(t reflect.Type) string {
	if t == reflect.TypeFor[deploy.Identity]() {
		return "Identity"
	}
	for name, v := range wireTypes {
		if reflect.TypeOf(v) == t {
			return name
		}
	}
	_, isText := reflect.Zero(t).Interface().(interface{ MarshalText() ([]byte, error) })
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Slice:
		return "array of " + kindOf(t.Elem())
	case reflect.Map:
		return "map of " + kindOf(t.Elem())
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "integer"
	}
	if isText || t.Kind() == reflect.String {
		return "string"
	}
	return t.String()
}

func schemaKind(s map[string]any) string {
	if ref, ok := s["$ref"].(string); ok {
		return ref[strings.LastIndexByte(ref, '/')+1:]
	}
	switch kind := fmt.Sprint(s["type"]); kind {
	case "array":
		return "array of " + schemaKind(s["items"].(map[string]any))
	case "object":
		return "map of " + schemaKind(s["additionalProperties"].(map[string]any))
	default:
		return kind
	}
}

// pathOf fills in a route's path.
func pathOf(rt route) string {
	id := "d-1"
	if strings.HasPrefix(rt.path, "/v1/machines/") {
		id = macA
	}
	return strings.NewReplacer("{id}", id, "{name}", "lab", "{pattern}", "52:54:00").Replace(rt.path)
}

// TestDocumentHasTheAnswers makes the API give every answer that the document
// has of every operation; that it gives no others is checked in all tests.
func TestDocumentHasTheAnswers(t *testing.T) {
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	c, s := catalogue(t, deploy.Limits{})
	o := options(c)
	token := tokens(t, o.Tokens, s)
	o.Fleet = &fakeFleet{}
	h := checked(t, o)
	away := checked(t, Options{Catalogue: deploy.New(deploy.Config{Store: s}), Fleet: &fakeFleet{err: errGone}})
	bare := checked(t, Options{})
	ask := func(h http.Handler, method, path, body string, headers ...string) reply {
		return direct(h, "ann", method, path, body, headers...)
	}
	for _, rt := range routes {
		path := pathOf(rt)
		direct(h, "", rt.method, path, "")        // 401
		ask(h, rt.method, path+"?nonsense=1", "") // 400
		ask(bare, rt.method, path, "")            // 404, 409
		ask(away, rt.method, path, "")            // 503
	}
	for _, op := range d.Operations() {
		if op.Method == "GET" {
			continue
		}
		r := ask(h, op.Method, strings.NewReplacer("{id}", macA, "{name}", "lab", "{pattern}", macA).Replace(op.Path), "{}", "If-Match: nonsense")
		if has, refused := slices.Contains(op.Headers, "If-Match"), strings.Contains(r.body, "If-Match"); has != refused {
			t.Errorf("%s: the document has If-Match: %v, the handler looks at it: %v", op, has, refused)
		}
	}
	big := `{"reason":"` + strings.Repeat("x", 3<<20) + `"}`
	steps := []struct{ method, path, body, ifMatch string }{
		{"GET", "/v1/openapi.json", "", ""},
		{"PUT", "/v1/groups/lab", `{"note":"n"}`, ""}, {"PUT", "/v1/groups/lab", "", `"999"`}, {"PUT", "/v1/groups/LAB", "", ""}, {"PUT", "/v1/groups/lab", big, ""},
		{"GET", "/v1/groups", "", ""}, {"GET", "/v1/groups/lab", "", ""},
		{"POST", "/v1/groups/lab/members", `{"add":["` + macA + `"],"remove":["` + macB + `"]}`, ""}, {"POST", "/v1/groups/lab/members", `{"add":[""]}`, ""},
		{"POST", "/v1/groups/lab/members", big, ""}, {"GET", "/v1/groups/lab/members", "", ""},

		{"POST", "/v1/deployments", `{"id":"d-1","target":{"group":"lab"},"profile":"linux","variables":{"disk":"sda"}}`, ""},                                       // 201
		{"POST", "/v1/deployments", `[{"id":"d-1","target":{"group":"lab"},"profile":"linux","variables":{"disk":"sda"}}]`, ""},                                     // 200
		{"POST", "/v1/deployments", `{"id":"d-1","target":{"group":"lab"},"profile":"winpe"}`, ""},                                                                  // 409
		{"POST", "/v1/deployments", `[{"id":"d-1","target":{"group":"lab"},"profile":"winpe"},{"id":"d-2","target":{"mac":"` + macB + `"},"profile":"linux"}]`, ""}, // 207
		{"POST", "/v1/deployments", `{"target":{},"profile":"linux"}`, ""}, {"POST", "/v1/deployments", `[{"note":"` + strings.Repeat("x", maxBulk) + `"}]`, ""},
		{"GET", "/v1/deployments", "", ""}, {"GET", "/v1/deployments/d-1", "", ""}, {"GET", "/v1/deployments/d-1/machines", "", ""},
		{"DELETE", "/v1/groups/lab", "", ""}, {"DELETE", "/v1/groups/lab", "", `"999"`}, // 409, 412
		{"POST", "/v1/deployments/d-2/arm", "", ""}, {"POST", "/v1/deployments/d-1/arm", "", ""}, // 409, 422
		{"POST", "/v1/deployments/d-2/arm", "", `"999"`}, {"POST", "/v1/deployments/d-2/arm", big, ""},
		{"POST", "/v1/deployments/d-2/callback", "", ""}, {"POST", "/v1/deployments/d-1/callback", "", ""}, {"POST", "/v1/deployments/d-1/callback", big, ""}, // 409, 422, 413
		{"DELETE", "/v1/deployments/d-2", "", ""}, {"DELETE", "/v1/deployments/d-2", "", `"999"`}, // 409, 412
		{"POST", "/v1/deployments/d-2/cancel", "", `"999"`}, {"POST", "/v1/deployments/d-2/cancel", big, ""}, {"POST", "/v1/deployments/d-2/cancel", `{"reason":"late"}`, ""},

		{"PATCH", "/v1/machines/" + macA, `{"name":"db1"}`, ""}, {"PATCH", "/v1/machines/" + macA, `{}`, ""}, {"PATCH", "/v1/machines/" + macA, big, ""}, {"PATCH", "/v1/machines/" + macA, `{"name":"x"}`, `"999"`},
		{"POST", "/v1/machines/" + macA + "/approve", `{"profile":"linux"}`, ""}, {"POST", "/v1/machines/" + macA + "/approve", `{"profile":"linus"}`, ""},
		{"POST", "/v1/machines/" + macA + "/approve", big, ""}, {"POST", "/v1/machines/" + macA + "/approve", "", `"999"`},
		{"GET", "/v1/machines", "", ""}, {"GET", "/v1/machines/" + macA, "", ""},
		{"DELETE", "/v1/machines/" + macA, "", `"999"`}, {"DELETE", "/v1/machines/" + macA, "", ""},

		{"PUT", "/v1/ignored/52:54:00", `{"reason":"lab"}`, ""}, {"PUT", "/v1/ignored/52:54:00", big, ""}, {"GET", "/v1/ignored", "", ""}, {"DELETE", "/v1/ignored/52:54:00", "", ""},
		{"GET", "/v1/profiles", "", ""}, {"GET", "/v1/members", "", ""}, {"POST", "/v1/members/self/drain", "", ""}, {"POST", "/v1/members/self/resume", "", ""},
		{"GET", "/v1/explain?mac=" + macA, "", ""},
		{"DELETE", "/v1/deployments/d-2", "", ""}, {"POST", "/v1/deployments/d-1/cancel", "", ""}, {"DELETE", "/v1/groups/lab", "", ""},
	}
	for _, st := range steps {
		var headers []string
		if st.ifMatch != "" {
			headers = []string{"If-Match: " + st.ifMatch}
		}
		ask(h, st.method, st.path, st.body, headers...)
	}
	// What takes a little more: events, a run that can be armed and called back, limits.
	ask(h, "POST", "/v1/deployments", `{"id":"once","target":{"mac":"`+macB+`"},"profile":"linux","once":true,"milestone":{"on":"callback"}}`)
	begin(t, c, "once", identity(t, macB))
	direct(h, "", "POST", "/v1/deployments/once/callback?token="+token(deploy.RunID{ID: "once", Machine: identity(t, macB)}), `{"message":"done"}`)
	ask(h, "POST", "/v1/deployments/once/cancel", "")
	ask(h, "POST", "/v1/deployments/once/arm", "")
	crowd(t, o)
	few, _ := catalogue(t, deploy.Limits{Machines: 1, Groups: 1, Ignored: 1})
	h = checked(t, Options{Catalogue: few})
	for _, name := range []string{"a", "b"} {
		ask(h, "PUT", "/v1/groups/"+name, "")
		ask(h, "PUT", "/v1/ignored/52:54:00:00:00:0"+name, "")
		ask(h, "POST", "/v1/machines/52:54:00:00:00:0"+name+"/approve", "")
		ask(h, "PATCH", "/v1/machines/52:54:00:00:00:0"+name, `{"note":"x"}`)
	}
	ask(h, "POST", "/v1/groups/a/members", `{"add":["`+macA+`","`+macB+`"]}`)
	if list := d.Unseen(); len(list) > 0 {
		t.Errorf("the document has what is never answered:\n%s", strings.Join(list, "\n"))
	}
}

// crowd has more clients follow the events than may.
func crowd(t *testing.T, o Options) {
	ctx, cancel := context.WithCancel(t.Context())
	h := checked(t, o)
	var all sync.WaitGroup
	for range maxSubscribers {
		began := make(chan struct{})
		w := &streamRecorder{ResponseRecorder: httptest.NewRecorder(), began: sync.OnceFunc(func() { close(began) })}
		all.Go(func() {
			h.ServeHTTP(w, httptest.NewRequestWithContext(context.WithValue(ctx, callerKey{}, "ann"), "GET", "/v1/events", nil))
		})
		<-began
	}
	if r := direct(h, "ann", "GET", "/v1/events", ""); r.status != http.StatusServiceUnavailable {
		t.Errorf("one more: %d", r.status)
	}
	cancel()
	all.Wait()
}

// streamRecorder tells when something is written.
type streamRecorder struct {
	*httptest.ResponseRecorder
	began func()
}

func (r *streamRecorder) Write(b []byte) (int, error) {
	r.began()
	return len(b), nil
}

// begin has a machine load something by a deployment.
func begin(t *testing.T, c *deploy.Catalogue, id string, machine deploy.Identity) {
	t.Helper()
	e := deploy.Event{Kind: deploy.Began, Address: machine, File: "linux/shim.efi", NBP: true, Size: 10}
	if err := c.Act(t.Context(), deploy.RunID{ID: id, Machine: machine}, e, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// tokens has the tokens read their secret, and makes some.
func tokens(t testing.TB, tk *Tokens, s store.Store) func(deploy.RunID) string {
	t.Helper()
	if err := tk.Run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return func(run deploy.RunID) string {
		token, err := tk.For(run)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

// fakeFleet is a member of a fleet of two.
type fakeFleet struct {
	err      error
	draining bool
}

func (f *fakeFleet) View() *fleet.View {
	return fleet.NewView(fleet.Member{Name: "boot1", Draining: f.draining}, []fleet.Member{{Name: "boot2"}})
}
func (f *fakeFleet) Members() []fleet.Member { return f.View().Members() }
func (f *fakeFleet) Status() membership.Status {
	return membership.Status{Member: f.err == nil, Err: f.err}
}
func (f *fakeFleet) Drain(context.Context) error  { f.draining = true; return f.err }
func (f *fakeFleet) Resume(context.Context) error { f.draining = false; return f.err }
