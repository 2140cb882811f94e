package bootfile

import (
	"context"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/history"
	"github.com/xdpxe/xdpxe/responder/tftp"
)

// follower lets the catalogue and the history know how a transfer goes. Its
// methods are called one after the other.
type follower struct {
	gate  *Gate
	of    client
	event deploy.Event // what they have in common
	noted bool         // the catalogue knows that it began
}

func (g *Gate) follow(c *client) *follower {
	f := &follower{gate: g, of: *c}
	f.of.Root = nil // it would be kept open
	m := c.machine.Client()
	f.event = deploy.Event{Address: m.ID(), Server: g.cfg.Server, File: c.path, NBP: c.nbp, Claim: g.cfg.Server + "/" + c.ID}
	return f
}

// Holds implements tftp.Follower, as the others do.
func (f *follower) Holds() bool {
	return f.of.deployment != nil && f.of.deployment.EndsWith(f.of.path, f.of.nbp)
}

// Began tells the catalogue nothing yet: many clients ask for a size and no more.
func (f *follower) Began(size int64) {
	f.event.Size = size
	f.hear(history.Running, "")
}

func (f *follower) Moved(acknowledged int64) {
	f.event.Sent = acknowledged
	f.begin()
	f.note(deploy.Moved, "")
}

func (f *follower) LastBlock(ctx context.Context) error {
	f.begin()
	e := f.event
	e.Kind = deploy.LastBlock
	return f.gate.cfg.Catalogue.Act(ctx, f.of.run, e, f.gate.cfg.Now())
}

func (f *follower) Ended(e tftp.Ending) {
	f.event.Sent = e.Acknowledged
	why := e.Why
	if why == "" && !e.Confirmed {
		why = e.Outcome.String()
	}
	f.hear(e.Outcome.String(), e.Why)
	switch {
	case e.Outcome == tftp.Probe && !f.noted:
	case e.Confirmed:
		f.begin()
		f.note(deploy.Fetched, "")
	default:
		f.note(deploy.Broke, why)
	}
}

// begin tells the catalogue once that the transfer began.
func (f *follower) begin() {
	if !f.noted {
		f.noted = true
		f.note(deploy.Began, "")
	}
}

func (f *follower) note(kind deploy.EventKind, message string) {
	if f.of.deployment == nil {
		return
	}
	e := f.event
	e.Kind, e.Message = kind, message
	f.gate.cfg.Catalogue.Note(f.of.run, e, f.gate.cfg.Now())
}

// hear tells the history.
func (f *follower) hear(outcome, why string) {
	f.gate.tell(&f.of, history.FileTransfer{Outcome: outcome, Why: why, Sent: f.event.Sent, Size: f.event.Size})
}
