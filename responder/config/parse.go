package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// Parse reads a configuration; name is what errors call the file. Any error is
// Errors. Files are not looked up: see Config.Check.
func Parse(name string, text []byte) (*Config, error) {
	r := &reader{file: name, places: make(places), anchors: make(map[string]ast.Node)}
	body, err := r.parse(text)
	if err != nil {
		return nil, Errors{err}
	}
	c := Default()
	c.File, c.places, c.Policy = name, r.places, nil
	c.TFTP.State = ""
	if body != nil {
		ast.Walk(r, body)
		r.keys(body, "", r.schema(c))
	}
	r.finish(c)
	if len(r.errs) > 0 {
		slices.SortStableFunc(r.errs, byPlace)
		return nil, r.errs
	}
	return c, nil
}

func byPlace(a, b *Error) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col)) }

// parse makes the YAML tree; nil is an empty file.
func (r *reader) parse(text []byte) (ast.Node, *Error) {
	if err := r.checkNesting(text); err != nil {
		return nil, err
	}
	file, err := parseYAML(text)
	if err != nil {
		e := &Error{File: r.file, Line: 1, Col: 1, Msg: err.Error(), Err: err}
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			at := placeOfToken(syntax.GetToken())
			e.Line, e.Col, e.Msg = at.line, at.col, syntax.GetMessage()
		}
		return nil, e
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			at := placeOf(doc.Body)
			return nil, &Error{File: r.file, Line: at.line, Col: at.col, Msg: "a second YAML document", Hint: "one file is one configuration"}
		}
		body = doc.Body
	}
	return body, nil
}

// parseYAML keeps a panic of the parser, which is not ours, from ending a
// daemon that only wanted to reload.
func parseYAML(text []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			file, err = nil, fmt.Errorf("the YAML parser cannot read this: %v", p)
		}
	}()
	return parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
}

// maxNesting is far beyond what the schema has. The YAML parser recurses.
const maxNesting = 200

// checkNesting counts brackets, those in texts and comments included: an
// honest file closes what it opens, or nearly so.
func (r *reader) checkNesting(text []byte) *Error {
	depth, line, col := 0, 1, 0
	for _, b := range text {
		col++
		switch b {
		case '\n':
			line, col = line+1, 0
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		}
		if depth > maxNesting {
			return &Error{File: r.file, Line: line, Col: col, Msg: "nested too deeply"}
		}
	}
	return nil
}

// schema is the configuration file: what each key sets in c.
func (r *reader) schema(c *Config) map[string]setter {
	return map[string]setter{
		"interfaces":     r.interfaces(c),
		"address":        r.address(&c.Address),
		"datapath":       r.oneOf(&c.Datapath, DatapathAuto, DatapathNative, DatapathGeneric, DatapathRingbuf, DatapathSocket),
		"deliver":        r.oneOf(&c.Deliver, DeliverAuto, DeliverSteal, DeliverTee),
		"attach":         r.oneOf(&c.Attach, AttachAuto, AttachExternal),
		"zero-copy":      r.boolean(&c.ZeroCopy),
		"kernel":         r.section(map[string]setter{"answers": r.oneOf(&c.Kernel.Answers, KernelAuto, KernelOff)}),
		"heartbeat":      r.duration(&c.Heartbeat, MinHeartbeat, MaxHeartbeat),
		"bpffs":          r.optionalPath(&c.BPFFS),
		"control":        r.control(&c.Control),
		"api":            r.api(&c.API),
		"store":          r.store(c),
		"server":         r.section(map[string]setter{"name": r.serverName(&c.Server)}),
		"deployments":    r.section(r.deployments(&c.Deployments)),
		"webhooks":       r.webhooks(&c.Webhooks),
		"root":           r.directory(&c.Root),
		"clients":        r.prefixes(&c.Clients, false),
		"vendor-classes": r.replaced(&c.VendorClasses),
		"policy":         r.section(map[string]setter{"default": r.word(&c.Spec.Default), "rules": r.rules(&c.Spec.Rules), "local": r.local(&c.Spec.Local)}),
		"profiles":       r.profiles(&c.Spec.Profiles),
		"tftp": r.section(map[string]setter{
			"port":          r.number(&c.TFTP.Port, 1, 65535),
			"max-window":    r.number(&c.TFTP.MaxWindow, 1, maxWindow),
			"max-blksize":   r.autoNumber(&c.TFTP.MaxBlksize, MinBlksize, MaxBlksize),
			"max-transfers": r.number(&c.TFTP.MaxTransfers, 1, maxTransfers),
			"gso":           r.boolean(&c.TFTP.GSO),
			"data-ports":    r.portRange(&c.TFTP.DataPorts),
			"state":         r.absolute(&c.TFTP.State),
			"single-port":   r.boolean(&c.TFTP.SinglePort),
			"networks":      r.networks(&c.TFTP.Networks),
			"netascii":      r.boolean(&c.TFTP.Netascii),
			"strict-files":  r.boolean(&c.TFTP.StrictFiles),
			"uploads":       r.uploads(&c.TFTP.Uploads),
			"queue":         r.number(&c.TFTP.Queue, 0, maxQueue),
			"burst":         r.autoNumber(&c.TFTP.Burst, 1, maxWindow),
			"bandwidth":     r.bandwidth(&c.TFTP.Bandwidth),
			"per-client":    r.section(r.limits(&c.TFTP.PerClient)),
			"per-network":   r.section(r.networkLimits(&c.TFTP)),
			"retransmit":    r.section(r.retransmit(&c.TFTP.Retransmit)),
		}),
		"guard":   r.section(r.guard(&c.Guard)),
		"metrics": r.section(map[string]setter{"listen": r.listen(&c.Metrics.Listen)}),
		"log": r.section(map[string]setter{
			"level":  r.oneOf(&c.Log.Level, "debug", "info", "warn", "error"),
			"format": r.oneOf(&c.Log.Format, "console", "json"),
		}),
	}
}

// word reads any text.
func (r *reader) word(dst *string) setter {
	return r.value(func(s string) (string, string) {
		*dst = s
		return "", ""
	})
}

// replaced reads a list that takes the place of a default one.
func (r *reader) replaced(dst *[]string) setter {
	return func(n ast.Node, path string) {
		var list []string
		r.texts(&list)(n, path)
		if len(list) > 0 {
			*dst = list
		}
	}
}

func (r *reader) limits(l *TFTPLimits) map[string]setter {
	return map[string]setter{
		"transfers": r.number(&l.Transfers, 0, maxTransfers),
		"requests":  r.number(&l.Requests, 0, maxRequests),
		"bandwidth": r.bandwidth(&l.Bandwidth),
	}
}

func (r *reader) networkLimits(t *TFTP) map[string]setter {
	keys := r.limits(&t.PerNetwork)
	keys["ipv4"] = r.number(&t.NetworkBits[0], 1, 32)
	keys["ipv6"] = r.number(&t.NetworkBits[1], 1, 128)
	return keys
}

func (r *reader) retransmit(t *TFTPRetransmit) map[string]setter {
	return map[string]setter{
		"initial":    r.duration(&t.Initial, time.Millisecond, time.Minute),
		"floor":      r.duration(&t.Floor, time.Millisecond, time.Minute),
		"ceiling":    r.duration(&t.Ceiling, time.Millisecond, time.Minute),
		"give-up":    r.duration(&t.GiveUp, time.Millisecond, time.Hour),
		"unanswered": r.duration(&t.Unanswered, time.Millisecond, time.Hour),
	}
}

// order finds two of the waits in the wrong order.
func (r *reader) order(t *TFTPRetransmit) {
	for _, c := range []struct {
		key       string
		low, high time.Duration
		above     string
	}{
		{"initial", t.Initial, t.Ceiling, "ceiling"}, {"floor", t.Floor, t.Ceiling, "ceiling"},
		{"initial", t.Initial, t.Unanswered, "unanswered"}, {"unanswered", t.Unanswered, t.GiveUp, "give-up"},
	} {
		if c.low > c.high {
			const path = "tftp.retransmit"
			at := path + "." + c.key
			if _, written := r.places[at]; !written {
				at = path + "." + c.above
			}
			r.fail(r.places.find(at), "", "%s: %s of %v is more than %s, %v", path, c.key, c.low, c.above, c.high)
			return
		}
	}
}

// finish checks what takes more than one value, and compiles the policy.
func (r *reader) finish(c *Config) {
	if low, high := int(c.TFTP.DataPorts[0]), int(c.TFTP.DataPorts[1]); low <= c.TFTP.Port && c.TFTP.Port <= high {
		r.fail(r.places.find("tftp.data-ports"), "", "tftp.data-ports: contains the port of requests, %d", c.TFTP.Port)
	}
	if c.TFTP.State == "" {
		c.placeState()
	}
	if c.TFTP.SinglePort && c.TFTP.DataPorts[0] != 0 {
		r.fail(r.places.find("tftp.data-ports"), "one or the other", "tftp.data-ports: there are none with single-port")
	}
	r.order(&c.TFTP.Retransmit)
	r.checkGuard(&c.Guard)
	r.placeStore(c)
	err := c.compile()
	if err == nil {
		c.warn()
		return
	}
	var mistakes policy.SpecErrors
	if !errors.As(err, &mistakes) {
		r.fail(place{1, 1}, "", "%v", err)
		return
	}
	for _, m := range mistakes {
		e := c.errorAt(m.Path, m.Hint, "%s: %s", m.Path, m.Msg)
		e.Err = m
		r.errs = append(r.errs, e)
	}
}

// errorAt makes an Error at the place of a value.
func (c *Config) errorAt(path, hint, format string, args ...any) *Error {
	e := &Error{File: c.File, Msg: fmt.Sprintf(format, args...), Hint: hint}
	if c.File != "" {
		at := c.places.find(path)
		e.Line, e.Col = at.line, at.col
	}
	return e
}
