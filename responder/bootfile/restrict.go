package bootfile

import (
	"strings"

	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// refuses says why a client may not have a file; empty: it may.
func (g *Gate) refuses(c *client, set *Settings) string {
	switch {
	case !c.known && (set.Strict || g.usesUp(c, set)):
		return textUnknown
	case set.Strict && !set.Policy.Allows(c.profile, c.path):
		return textProfile
	}
	return ""
}

// bootProgram reports whether a file is the boot program that a deployment may
// end with. When the run is used up by one already, another is not: it is what
// that one loads.
func (g *Gate) bootProgram(c *client, set *Settings) bool {
	if c.profile == "" || !isBootFile(set.Policy, c.profile, c.path) {
		return false
	}
	if c.deployment == nil {
		return true
	}
	r := g.cfg.Catalogue.Snapshot().Run(c.run, c.now)
	return r.Consumed.IsZero() || strings.EqualFold(r.File, c.path)
}

// isBootFile reports whether a path is a boot file of a profile, or of any if
// none is named.
func isBootFile(p *policy.Snapshot, profile, path string) bool {
	for _, f := range p.Files() {
		if (f.Profile == profile || profile == "") && !policy.IsURL(f.File) && strings.EqualFold(f.File, path) {
			return true
		}
	}
	return false
}

// onceFiles is what deployments for once end with, as of one snapshot.
type onceFiles struct {
	of       *deploy.Snapshot
	profiles map[string]bool // with their boot programs
	files    map[string]bool // folded
}

// usesUp reports whether somebody's deployment ends with a file.
func (g *Gate) usesUp(c *client, set *Settings) bool {
	if g.cfg.Catalogue == nil {
		return false
	}
	s := g.cfg.Catalogue.Snapshot()
	if !s.Read() {
		return isBootFile(set.Policy, "", c.path) // it may be anybody's
	}
	once := g.once.Load()
	if once == nil || once.of != s {
		once = &onceFiles{of: s, profiles: map[string]bool{}, files: map[string]bool{}}
		for d := range s.Once(c.now) {
			switch d.Milestone.On {
			case deploy.OnNBP:
				once.profiles[d.Profile] = true
			case deploy.OnFile:
				once.files[content.Fold(d.Milestone.File)] = true
			}
		}
		g.once.Store(once)
	}
	if once.files[content.Fold(c.path)] {
		return true
	}
	for profile := range once.profiles {
		if isBootFile(set.Policy, profile, c.path) {
			return true
		}
	}
	return false
}
