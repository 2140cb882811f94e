package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// DefaultStoreFile is where deployments are kept if rules use them and nothing else is said.
const DefaultStoreFile = "/var/lib/xdpxe/xdpxe.db"

// Store says where deployments and machines are kept: in a file, or in an etcd.
type Store struct {
	File string // empty: Etcd is used
	Etcd *Etcd
}

// Etcd is a store that servers have in common.
type Etcd struct {
	Endpoints []string // URLs of servers
	Prefix    string   // of all keys

	CA, Cert, Key string // PEM files; empty: whom the system trusts, and no certificate of ours
	User          string
	PasswordFile  string // its first line is the password
	Timeout       time.Duration
}

// Deployments says how many of them are kept, and for how long.
type Deployments struct {
	Keep   time.Duration // those that are over
	Limits DeployLimits
}

// DeployLimits bound what is kept; deploy.Limits says of what.
type DeployLimits struct {
	Deployments, Machines, Held, Groups, Ignored int
	NewMachines                                  int // a second, over time
}

func defaultDeployments() Deployments {
	return Deployments{
		Keep: 30 * 24 * time.Hour,
		Limits: DeployLimits{
			Deployments: 100_000, Machines: 100_000, Held: 10_000, Groups: 1000, Ignored: 10_000, NewMachines: 5,
		},
	}
}

// Bounds of what is kept: in memory too, some hundred bytes to a kilobyte each.
const (
	maxKept        = 1_000_000
	maxNewMachines = 1000
	minKeep        = time.Hour
	maxKeep        = 10 * 365 * 24 * time.Hour
	maxEtcdTimeout = time.Minute
)

// storeNone is the store of who wants none.
const storeNone = "none"

// store reads the section, and whether one may be opened at all.
func (r *reader) store(c *Config) setter {
	return func(n ast.Node, path string) {
		v := r.resolve(n)
		if isEmpty(v) {
			return
		}
		if s, ok := scalar(v); ok {
			if s != storeNone {
				r.fail(placeOf(v), "store: {file: PATH}, store: {etcd: {endpoints: […]}}, or store: none", "%s: must be a mapping or none, not %q", path, s)
			}
			c.noStore = true
			return
		}
		st := &Store{}
		mistakes := len(r.errs)
		r.keys(n, path, map[string]setter{"file": r.absolute(&st.File), "etcd": r.etcd(&st.Etcd)})
		if st.File != "" && st.Etcd != nil && len(r.errs) == mistakes {
			r.fail(r.places.find(path+".etcd"), "one or the other", "%s: a file and an etcd together", path)
		}
		c.Store = st
	}
}

func (r *reader) etcd(dst **Etcd) setter {
	return func(n ast.Node, path string) {
		if isEmpty(r.resolve(n)) {
			return
		}
		e := &Etcd{Prefix: "/xdpxe/", Timeout: 3 * time.Second}
		mistakes := len(r.errs)
		r.keys(n, path, map[string]setter{
			"endpoints":     r.endpoints(&e.Endpoints),
			"prefix":        r.prefix(&e.Prefix),
			"ca":            r.directory(&e.CA),
			"cert":          r.directory(&e.Cert),
			"key":           r.directory(&e.Key),
			"user":          r.word(&e.User),
			"password-file": r.directory(&e.PasswordFile),
			"timeout":       r.duration(&e.Timeout, 100*time.Millisecond, maxEtcdTimeout),
		})
		*dst = e
		if len(r.errs) > mistakes {
			return
		}
		at := r.places.find(path)
		if len(e.Endpoints) == 0 {
			r.fail(at, "endpoints: [https://etcd1.example:2379]", "%s: no endpoints", path)
		}
		r.together(path, "cert", e.Cert, "key", e.Key)
		r.together(path, "user", e.User, "password-file", e.PasswordFile)
	}
}

// together finds one of two keys that go together alone.
func (r *reader) together(path, a, valueA, b, valueB string) {
	switch {
	case valueA != "" && valueB == "":
		r.fail(r.places.find(path+"."+a), "", "%s: %s goes together with %s", path, a, b)
	case valueA == "" && valueB != "":
		r.fail(r.places.find(path+"."+b), "", "%s: %s goes together with %s", path, b, a)
	}
}

func (r *reader) endpoints(dst *[]string) setter {
	return r.list(func(s string) (string, string) {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.User != nil {
			return "bad endpoint \"" + s + "\"", "the URL of a server, as in https://etcd1.example:2379"
		}
		*dst = append(*dst, s)
		return "", ""
	})
}

func (r *reader) prefix(dst *string) setter {
	return r.value(func(s string) (string, string) {
		if !strings.HasPrefix(s, "/") || !strings.HasSuffix(s, "/") || s == "/" {
			return "bad prefix \"" + s + "\"", "it begins and ends with /, as in /xdpxe/"
		}
		*dst = s
		return "", ""
	})
}

// serverName reads what a boot server is called; fleet/membership has the same rule.
func (r *reader) serverName(dst *string) setter {
	return r.value(func(s string) (string, string) {
		if s == "" || len(s) > 128 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '/' || c == 0x7f }) {
			return "bad name \"" + s + "\"", "1 to 128 characters without spaces and slashes, another one for each server"
		}
		*dst = s
		return "", ""
	})
}

func (r *reader) deployments(d *Deployments) map[string]setter {
	l := &d.Limits
	return map[string]setter{
		"keep": r.duration(&d.Keep, minKeep, maxKeep),
		"limits": r.section(map[string]setter{
			"deployments":  r.number(&l.Deployments, 1, maxKept),
			"machines":     r.number(&l.Machines, 1, maxKept),
			"held":         r.number(&l.Held, 1, maxKept),
			"groups":       r.number(&l.Groups, 1, maxKept),
			"ignored":      r.number(&l.Ignored, 1, maxKept),
			"new-machines": r.number(&l.NewMachines, 1, maxNewMachines),
		}),
	}
}

// placeStore gives those a store whose rules use one, and finds rules that use
// one where there is to be none.
func (r *reader) placeStore(c *Config) {
	path, word := usesStore(&c.Spec)
	switch {
	case path != "" && c.noStore:
		r.fail(r.places.find(path), "leave `store: none` out", "%s: %s takes a store, and there is to be none", path, word)
		return
	case path != "" && c.Store == nil:
		c.Store = &Store{}
	}
	if c.Store != nil && c.Store.File == "" && c.Store.Etcd == nil {
		c.Store.File = DefaultStoreFile
	}
}

// usesStore returns the first value that cannot be decided without a store, and
// what it is; empty: there is none.
func usesStore(s *policy.Spec) (path, word string) {
	for i, r := range s.Rules {
		switch {
		case r.Boot == policy.Deployed:
			return fmt.Sprintf("policy.rules[%d].boot", i), policy.Deployed
		case r.Unknown != "":
			return fmt.Sprintf("policy.rules[%d].unknown", i), r.Unknown
		}
	}
	if s.Default == policy.Deployed || s.Default == policy.Hold {
		return "policy.default", s.Default
	}
	return "", ""
}
