// Package apitest holds an API against its OpenAPI document: in tests, every
// request that is taken and every answer has to be as the document says.
package apitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Document is an OpenAPI document, as far as tests look at it.
type Document struct {
	root map[string]any

	mu   sync.Mutex
	seen map[string]bool // "METHOD PATH STATUS"
}

// Parse reads a document in JSON. All references have to lead somewhere.
func Parse(text []byte) (*Document, error) {
	d := &Document{seen: make(map[string]bool)}
	if err := json.Unmarshal(text, &d.root); err != nil {
		return nil, err
	}
	return d, d.checkRefs(d.root)
}

func (d *Document) checkRefs(v any) error {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && d.find(ref) == nil {
			return fmt.Errorf("%s leads nowhere", ref)
		}
		for _, one := range v {
			if err := d.checkRefs(one); err != nil {
				return err
			}
		}
	case []any:
		for _, one := range v {
			if err := d.checkRefs(one); err != nil {
				return err
			}
		}
	}
	return nil
}

// find follows a reference inside of the document.
func (d *Document) find(ref string) map[string]any {
	at := d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at, _ = at[part].(map[string]any)
	}
	return at
}

// deref is v, or what it refers to.
func (d *Document) deref(v any) map[string]any {
	m, _ := v.(map[string]any)
	if ref, ok := m["$ref"].(string); ok {
		return d.deref(d.find(ref))
	}
	return m
}

// Schema returns a schema of the document by its name; nil: there is none.
func (d *Document) Schema(name string) map[string]any {
	return d.find("#/components/schemas/" + name)
}

// Schemas returns the names of all schemas.
func (d *Document) Schemas() []string {
	return slices.Sorted(maps.Keys(d.find("#/components/schemas")))
}

// Operation is one method of one path.
type Operation struct {
	Method, Path string // of the document, with {names}
	Statuses     []string
	Query        []string // its parameters
	Headers      []string
	InPath       []string

	d    *Document
	spec map[string]any
}

func (o *Operation) String() string { return o.Method + " " + o.Path }

// Operations returns all, in order.
func (d *Document) Operations() (ops []*Operation) {
	paths := d.find("#/paths")
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := paths[path].(map[string]any)
		for _, method := range []string{"get", "put", "post", "delete", "patch"} {
			spec, ok := item[method].(map[string]any)
			if !ok {
				continue
			}
			op := &Operation{Method: strings.ToUpper(method), Path: path, d: d, spec: spec}
			op.Statuses = slices.Sorted(maps.Keys(spec["responses"].(map[string]any)))
			for _, list := range []any{item["parameters"], spec["parameters"]} {
				params, _ := list.([]any)
				for _, p := range params {
					p := d.deref(p)
					name := p["name"].(string)
					switch p["in"] {
					case "query":
						op.Query = append(op.Query, name)
					case "header":
						op.Headers = append(op.Headers, name)
					case "path":
						op.InPath = append(op.InPath, name)
					}
				}
			}
			ops = append(ops, op)
		}
	}
	return ops
}

// Unseen returns the answers of the document that there was none of yet in any
// Checker, but for the defaults.
func (d *Document) Unseen() (list []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, op := range d.Operations() {
		for _, status := range op.Statuses {
			if name := op.String() + " " + status; status != "default" && !d.seen[name] {
				list = append(list, name)
			}
		}
	}
	return list
}

func (d *Document) note(op *Operation, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[fmt.Sprint(op, " ", status)] = true
}

// lookup finds the operation of a request; nil: there is none. Words go before {names}.
func (d *Document) lookup(method, path string) (found *Operation) {
	for _, op := range d.Operations() {
		if op.Method == method && matches(op.Path, path) && (found == nil || strings.Count(op.Path, "{") < strings.Count(found.Path, "{")) {
			found = op
		}
	}
	return found
}

func matches(template, path string) bool {
	a, b := strings.Split(template, "/"), strings.Split(path, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !(strings.HasPrefix(a[i], "{") && b[i] != "") {
			return false
		}
	}
	return true
}

// body is the schema of a request's body; nil: it has none.
func (o *Operation) body() map[string]any {
	b := o.d.deref(o.spec["requestBody"])
	return schemaOf(b, "application/json")
}

// answer checks an answer's status, type and body.
func (o *Operation) answer(status int, kind string, body []byte) error {
	responses := o.spec["responses"].(map[string]any)
	r, ok := responses[fmt.Sprint(status)]
	if !ok {
		return fmt.Errorf("%s: status %d is not in the document", o, status)
	}
	content, _ := o.d.deref(r)["content"].(map[string]any)
	if len(content) == 0 {
		if len(body) > 0 {
			return fmt.Errorf("%s: status %d has a body", o, status)
		}
		return nil
	}
	schema := schemaOf(o.d.deref(r), kind)
	switch {
	case schema == nil:
		return fmt.Errorf("%s: status %d has type %q, the document says %v", o, status, kind, slices.Sorted(maps.Keys(content)))
	case kind == "text/event-stream":
		return nil
	}
	if err := o.d.Check(schema, body); err != nil {
		return fmt.Errorf("%s: status %d: %w", o, status, err)
	}
	return nil
}

func schemaOf(v map[string]any, kind string) map[string]any {
	content, _ := v["content"].(map[string]any)
	media, _ := content[kind].(map[string]any)
	schema, _ := media["schema"].(map[string]any)
	return schema
}
