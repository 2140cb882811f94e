package config

import (
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/xdpxe/xdpxe/responder/policy"
)

func (r *reader) rules(dst *[]policy.Rule) setter {
	return func(n ast.Node, path string) {
		r.items(n, path, func(n ast.Node, path string) {
			var rule policy.Rule
			m := &rule.Match
			r.keys(n, path, map[string]setter{
				"name":       r.word(&rule.Name),
				"boot":       r.word(&rule.Boot),
				"else":       r.word(&rule.Else),
				"unknown":    r.word(&rule.Unknown),
				"delay":      r.duration(&rule.Delay, 0, policy.MaxDelay),
				"delay-secs": r.number(&rule.DelaySecs, 0, int(policy.MaxDelay/time.Second)),
				"webhook":    r.word(&rule.Webhook),
				"local":      r.local(&rule.Local),
				"match": r.section(map[string]setter{
					"mac":          r.texts(&m.MAC),
					"uuid":         r.texts(&m.UUID),
					"arch":         r.texts(&m.Arch),
					"subnet":       r.prefixes(&m.Subnet, true),
					"vendor-class": r.texts(&m.VendorClass),
					"user-class":   r.texts(&m.UserClass),
					"circuit-id":   r.texts(&m.CircuitID),
					"remote-id":    r.texts(&m.RemoteID),
				}),
			})
			*dst = append(*dst, rule)
		})
	}
}

// local reads the ways to the disk; what is left out is as in policy.DefaultLocal.
func (r *reader) local(dst **policy.LocalFiles) setter {
	return func(n ast.Node, path string) {
		if isEmpty(r.resolve(n)) {
			return
		}
		l := policy.DefaultLocal()
		r.keys(n, path, map[string]setter{
			"bios":          r.word(&l.BIOS),
			"uefi":          r.word(&l.UEFI),
			policy.IPXEFile: r.word(&l.IPXE),
		})
		*dst = &l
	}
}

func (r *reader) profiles(dst *map[string]policy.Profile) setter {
	return func(n ast.Node, path string) {
		*dst = make(map[string]policy.Profile)
		r.pairs(n, path, func(name string, _ place, path string, n ast.Node) {
			p := policy.Profile{Files: make(map[string]string)}
			r.keys(n, path, map[string]setter{
				"files": func(n ast.Node, path string) {
					r.pairs(n, path, func(arch string, _ place, path string, n ast.Node) {
						if file, ok := r.text(n, path); ok {
							p.Files[arch] = file
						}
					})
				},
				"allow": r.texts(&p.Allow),
			})
			(*dst)[name] = p
		})
	}
}
