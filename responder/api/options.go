package api

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/fleet/membership"
	"github.com/xdpxe/xdpxe/responder/history"
)

// Options are what the API shows and changes. A nil field is something that
// this daemon does not have; what is asked of it is answered with a problem.
type Options struct {
	Catalogue *deploy.Catalogue
	Tokens    *Tokens // of installers that call back
	// Profiles returns those of the policy in force, in order of their names. A
	// deployment or approval with another one is refused.
	Profiles func() []Profile
	// Self is this server, where it is no member of a fleet (Fleet is nil).
	Self  func() fleet.Member
	Fleet Fleet
	// History is what is remembered of machines, and tells what happens to them.
	History History
	// Explain says what the daemon would do with a client. An error is the
	// query's: a deploy.Invalid that names the parameter.
	Explain func(Query) (*Explanation, error)
	Now     func() time.Time // the clock; nil: time.Now
	Log     *zap.Logger      // who changes what; nil: nowhere
}

// Fleet is this server's membership.
type Fleet interface {
	View() *fleet.View
	Members() []fleet.Member
	Status() membership.Status
	Drain(ctx context.Context) error
	Resume(ctx context.Context) error
}

// History is a history.History.
type History interface {
	// Machine returns a machine's timeline, the oldest entry first.
	Machine(deploy.Identity) []Entry
	// Subscribe begins to tell what happens, to one machine or (zero) to all.
	Subscribe(only deploy.Identity) (*history.Subscription, func())
}
