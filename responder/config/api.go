package config

import (
	"io/fs"
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// Control says where the tools reach the daemon, and who may: the owner and group of a unix socket.
type Control struct {
	Socket string
	Mode   fs.FileMode
	Group  string // name or number; empty: that of the daemon
}

// API is the HTTP API on TCP, beside that on the control socket.
type API struct {
	Listen    string // HOST:PORT; empty: off
	Cert, Key string // PEM files
	ClientCA  string // PEM file: whose certificates open it
	TokenFile string // its first line opens it too
}

// control reads a path, or a mapping with more.
func (r *reader) control(dst *Control) setter {
	return func(n ast.Node, path string) {
		if v := r.resolve(n); !isEmpty(v) {
			if _, ok := scalar(v); ok {
				r.absolute(&dst.Socket)(n, path)
				return
			}
		}
		r.keys(n, path, map[string]setter{"socket": r.absolute(&dst.Socket), "mode": r.mode(&dst.Mode), "group": r.word(&dst.Group)})
	}
}

// mode reads who may connect: what a socket takes for that is to be writable (unix(7)).
func (r *reader) mode(dst *fs.FileMode) setter {
	return r.value(func(s string) (string, string) {
		m, err := strconv.ParseUint(s, 8, 32)
		if err != nil || m&^0o666 != 0 || m&0o600 != 0o600 {
			return "bad mode " + strconv.Quote(s), "0600, 0660 or 0666"
		}
		*dst = fs.FileMode(m)
		return "", ""
	})
}

func (r *reader) api(dst *API) setter {
	return func(n ast.Node, path string) {
		if isEmpty(r.resolve(n)) {
			return
		}
		var a API
		mistakes := len(r.errs)
		r.keys(n, path, map[string]setter{
			"listen":     r.listen(&a.Listen),
			"cert":       r.directory(&a.Cert),
			"key":        r.directory(&a.Key),
			"client-ca":  r.directory(&a.ClientCA),
			"token-file": r.directory(&a.TokenFile),
		})
		*dst = a
		if a.Listen == "" || len(r.errs) > mistakes {
			return
		}
		at := r.places.find(path)
		switch {
		case a.Cert == "" || a.Key == "":
			r.fail(at, "cert: FILE and key: FILE", "%s: on TCP only with TLS: no certificate and key", path)
		case a.ClientCA == "" && a.TokenFile == "":
			r.fail(at, "token-file: FILE, client-ca: FILE, or both", "%s: nothing says who may use it", path)
		}
	}
}
