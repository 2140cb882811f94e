package bootfile

import (
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/responder/binding"
	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/history"
	"github.com/xdpxe/xdpxe/responder/policy"
	"github.com/xdpxe/xdpxe/responder/script"
	"github.com/xdpxe/xdpxe/responder/tftp"
)

// Names says who is behind an address: binding.Table does.
type Names interface {
	Who(addr netip.Addr, now time.Time) (binding.Machine, bool)
}

// Catalogue has the deployments: deploy.Catalogue does.
type Catalogue interface {
	Snapshot() *deploy.Snapshot
	Act(ctx context.Context, run deploy.RunID, e deploy.Event, now time.Time) error
	Note(run deploy.RunID, e deploy.Event, now time.Time)
}

// History takes what is to be known of a machine's transfers: history.History does.
type History interface {
	Transfer(t *history.FileTransfer, now time.Time)
}

// Config is what a Gate is made of.
type Config struct {
	Names     Names
	Catalogue Catalogue // nil: nothing is ever deployed
	Server    string    // this server's name, among all that share the catalogue
	// Token makes what an installer shows when it calls back; nil: none can.
	Token   func(deploy.RunID) (string, error)
	History History          // nil: nobody wants to know
	Now     func() time.Time // nil: time.Now
}

// Settings are the part of the configuration that may change while the Gate is in use.
type Settings struct {
	Policy *policy.Snapshot
	Strict bool // a client gets what its profile allows, and nothing else
	// Variables are those of a machine that boots a profile without a deployment,
	// as a webhook has said it; nil: there are none.
	Variables func(mac []byte, profile string, now time.Time) map[string]string
}

// Gate is a tftp.Gate. Its methods are safe for concurrent use.
type Gate struct {
	cfg      Config
	settings atomic.Pointer[Settings]
	scripts  scripts
	once     atomic.Pointer[onceFiles]
}

// New returns a gate.
func New(c Config, s Settings) *Gate {
	if c.Now == nil {
		c.Now = time.Now
	}
	g := &Gate{cfg: c, scripts: scripts{filling: make(chan struct{}, maxFilling), parsed: map[parsedID]*script.Template{}}}
	g.Set(s)
	return g
}

// Set replaces the settings for requests from now on.
func (g *Gate) Set(s Settings) { g.settings.Store(&s) }

// client is who asks for what.
type client struct {
	tftp.Opening
	now     time.Time
	path    string // of the file, as files are found
	address netip.Addr
	machine binding.Machine
	known   bool
	profile string // whose files it may have

	deployment *deploy.Deployment // nil: none
	run        deploy.RunID
	nbp        bool // the file is the boot program of the profile
}

// Texts that clients are refused with.
const (
	textUnknown  = "not for a client that is not known: its DHCP request was not seen"
	textProfile  = "not a file of this client's profile"
	textTemplate = "the script cannot be made: see the server's log"
	textNotRead  = "this server has not read its deployments yet"
	textWrites   = "this server takes no files from clients"
)

// Open implements tftp.Gate.
func (g *Gate) Open(o tftp.Opening) tftp.Grant {
	set := g.settings.Load()
	path, err := content.Clean(o.Name)
	switch {
	case err != nil && o.Write:
		path = o.Name // whose rules are others
	case err != nil:
		return tftp.Grant{} // it is not found, and the server says why
	}
	c := client{Opening: o, now: g.cfg.Now(), path: path, address: o.Client.Addr().Unmap()}
	c.machine, c.known = g.cfg.Names.Who(c.address, c.now)
	grant := g.open(&c, set)
	if grant.How != 0 {
		t := history.FileTransfer{Outcome: grant.How.String(), Why: grant.Text}
		if grant.Err != nil {
			t.Why = grant.Err.Error()
		}
		g.tell(&c, t)
	}
	return grant
}

// tell lets the history know what became of a known client's request.
func (g *Gate) tell(c *client, t history.FileTransfer) {
	if g.cfg.History == nil || !c.known {
		return
	}
	t.Client, t.Address, t.File = c.machine.Client(), c.address, c.path
	t.Profile, t.Deployment, t.Server = c.profile, c.run.ID, g.cfg.Server
	g.cfg.History.Transfer(&t, g.cfg.Now())
}

func (g *Gate) open(c *client, set *Settings) tftp.Grant {
	_, isTemplate := cutTemplate(c.path)
	switch {
	case c.Write && set.Strict:
		return tftp.Grant{How: tftp.WriteRefused, Text: textWrites}
	case c.Write:
		return tftp.Grant{}
	case isTemplate:
		return tftp.Grant{How: tftp.NotFound}
	case strings.EqualFold(c.path, policy.ExitScript):
		return tftp.Grant{Content: []byte(exitScript)}
	}
	switch {
	case g.deployed(c):
	case c.Restored:
		return tftp.Grant{How: tftp.Refused, Text: textNotRead} // silence would be no answer: it does not ask again
	default:
		return tftp.Grant{How: tftp.Busy}
	}
	if text := g.refuses(c, set); text != "" {
		return tftp.Grant{How: tftp.Refused, Text: text}
	}
	grant := g.fill(c)
	if grant.How == 0 && c.known && (c.deployment != nil || g.cfg.History != nil) {
		c.nbp = g.bootProgram(c, set)
		grant.Follow = g.follow(c)
	}
	return grant
}

// exitScript is the content of policy.ExitScript.
const exitScript = "#!ipxe\nexit\n"

// deployed finds the deployment that the machine was answered with. It reports
// false if that cannot be said now.
func (g *Gate) deployed(c *client) bool {
	c.profile = c.machine.Profile
	if g.cfg.Catalogue == nil || !c.known || c.machine.Deployment == "" {
		return true
	}
	s := g.cfg.Catalogue.Snapshot()
	if !s.Read() {
		return false
	}
	if d, run, ok := s.RunOf(c.machine.Deployment, c.machine.Client()); ok {
		c.deployment, c.run, c.profile = d, run, d.Profile
	}
	return true
}
