package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// place is a position in the file, from 1.
type place struct{ line, col int }

// places are those of the values by path, as in "policy.rules[0].match.mac[1]".
type places map[string]place

// find returns the place of a value or, if it is not written, of what it would be in.
func (p places) find(path string) place {
	for {
		if at, ok := p[path]; ok {
			return at
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return place{1, 1}
		}
		path = path[:i]
	}
}

// reader takes values out of a YAML tree and collects what is wrong with them.
type reader struct {
	file    string
	places  places
	anchors map[string]ast.Node
	errs    Errors
}

func (r *reader) fail(at place, hint, format string, args ...any) {
	e := &Error{File: r.file, Line: at.line, Col: at.col, Msg: fmt.Sprintf(format, args...), Hint: hint}
	// A bad alias is met each time its value is asked for.
	if n := len(r.errs); n > 0 && *r.errs[n-1] == *e {
		return
	}
	r.errs = append(r.errs, e)
}

// placeOf returns where a node starts.
func placeOf(n ast.Node) place {
	switch n := n.(type) {
	case *ast.MappingNode:
		// The token of a block mapping is its first colon.
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return placeOf(n.Values[0])
		}
	case *ast.MappingValueNode:
		return placeOf(n.Key)
	}
	return placeOfToken(n.GetToken())
}

func placeOfToken(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{max(1, t.Position.Line), max(1, t.Position.Column)}
}

// Visit collects anchors (ast.Visitor).
func (r *reader) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil && a.Name.GetToken() != nil {
		r.anchors[a.Name.GetToken().Value] = a.Value
	}
	return r
}

// maxAliases bounds how many tags, anchors and aliases lead to one value.
const maxAliases = 16

// resolve returns the value behind tags, anchors and aliases.
func (r *reader) resolve(n ast.Node) ast.Node {
	start := n
	for range maxAliases {
		switch v := n.(type) {
		case *ast.TagNode:
			n = v.Value
		case *ast.AnchorNode:
			n = v.Value
		case *ast.AliasNode:
			name := v.Value.GetToken().Value
			value, ok := r.anchors[name]
			if !ok {
				r.fail(placeOf(v), "", "no anchor &%s", name)
				return nil
			}
			n = value
		default:
			return n
		}
	}
	r.fail(placeOf(start), "", "more than %d tags and aliases on one value", maxAliases)
	return nil
}

// isEmpty reports whether a key has nothing behind it: it then keeps its default.
func isEmpty(n ast.Node) bool {
	if n == nil {
		return true
	}
	return n.Type() == ast.NullType
}

// pairs calls f for each key of a mapping, in order, with the key's place, and
// records where its value is; for a mapping that is its key.
func (r *reader) pairs(n ast.Node, path string, f func(key string, at place, path string, value ast.Node)) {
	n = r.resolve(n)
	if isEmpty(n) {
		return
	}
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		r.fail(placeOf(n), "as in {key: value}", "%s must be a mapping, not %s", orFile(path), kind(n))
		return
	}
	seen := make(map[string]place, len(values))
	for _, v := range values {
		at := placeOf(v)
		if v.Key.IsMergeKey() {
			r.fail(at, "write the keys out, or use an alias for the whole value", "merge keys are not supported")
			continue
		}
		key := keyText(v.Key)
		if first, twice := seen[key]; twice {
			r.fail(at, "", "%s is written twice, first in line %d", key, first.line)
			continue
		}
		seen[key] = at
		below := join(path, key)
		r.places[below] = at
		if value := r.resolve(v.Value); !isEmpty(value) && value.Type() != ast.MappingType {
			r.places[below] = placeOf(value)
		}
		f(key, at, below, v.Value)
	}
}

func keyText(k ast.MapKeyNode) string {
	var n ast.Node = k
	for range maxAliases {
		switch v := n.(type) {
		case *ast.MappingKeyNode:
			n = v.Value
			continue
		case *ast.AnchorNode:
			n = v.Value
			continue
		case *ast.TagNode:
			n = v.Value
			continue
		}
		break
	}
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orFile(path string) string {
	if path == "" {
		return "the configuration"
	}
	return path
}

// keys reads a mapping whose keys are fixed.
func (r *reader) keys(n ast.Node, path string, known map[string]func(n ast.Node, path string)) {
	r.pairs(n, path, func(key string, at place, below string, value ast.Node) {
		if read, ok := known[key]; ok {
			read(value, below)
			return
		}
		var names []string
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		hint := "known here: " + strings.Join(names, ", ")
		if near := policy.Suggest(strings.ReplaceAll(strings.ToLower(key), "_", "-"), names); near != "" {
			hint = "did you mean " + near + "?"
		}
		r.fail(at, hint, "unknown key %q", key)
	})
}

// items calls f for each element of a list; a single value is a list of one.
func (r *reader) items(n ast.Node, path string, f func(n ast.Node, path string)) {
	n = r.resolve(n)
	if isEmpty(n) {
		return
	}
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		r.places[path+"[0]"] = placeOf(n)
		f(n, path+"[0]")
		return
	}
	for i, v := range list.Values {
		below := path + "[" + strconv.Itoa(i) + "]"
		value := r.resolve(v)
		if isEmpty(value) {
			r.fail(placeOfItem(list, v), "", "%s is empty", below)
			continue
		}
		r.places[below] = placeOf(value)
		f(v, below)
	}
}

// placeOfItem is that of the list if the element leaves no trace of its own.
func placeOfItem(list *ast.SequenceNode, v ast.Node) place {
	if v == nil || v.GetToken() == nil {
		return placeOf(list)
	}
	return placeOf(v)
}

// text reads any single value as it is written: 525400123456 without quotes is
// a number to YAML, and an address to its author.
func (r *reader) text(n ast.Node, path string) (string, bool) {
	n = r.resolve(n)
	if s, ok := scalar(n); ok {
		return s, true
	}
	if isEmpty(n) {
		r.fail(r.places.find(path), "", "%s is empty", path)
		return "", false
	}
	r.fail(placeOf(n), "", "%s must be text, not %s", path, kind(n))
	return "", false
}

func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) == 1 {
			return scalar(n.Values[0])
		}
	case *ast.MappingValueNode:
		return unsplit(n)
	}
	return "", false
}

// unsplit puts a plain scalar together again that the parser has taken for a
// mapping: YAML 1.2 §7.3.3 has 00:11:22:33:44:55 as one text, since no space
// follows a colon, but the parser ends numbers there.
func unsplit(n *ast.MappingValueNode) (string, bool) {
	key, colon, value := n.Key.GetToken(), n.Start, n.Value
	if key == nil || colon == nil || value == nil || n.Key.Type() == ast.MappingKeyType {
		return "", false
	}
	from, mid, to := placeOfToken(key), placeOfToken(colon), placeOf(value)
	adjacent := from.line == mid.line && mid.line == to.line && from.col+len(key.Value) == mid.col && mid.col+1 == to.col
	rest, ok := scalar(value)
	if !adjacent || !ok {
		return "", false
	}
	return key.Value + ":" + rest, true
}

// kind says what a node is in the words of the documentation.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "empty"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	}
	return "text"
}
