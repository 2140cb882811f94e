package api

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/fleet/membership"
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
	// Timeline returns what is remembered of a machine, the oldest first.
	Timeline func(deploy.Identity) []Entry
	// Subscribe begins a stream of what happens. It must not block whoever makes
	// it happen: what the stream has no room for is dropped and counted.
	Subscribe func() Stream
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

// Stream is a subscription.
type Stream struct {
	Events  <-chan Event
	Dropped func() uint64 // events that there was no room for, since the beginning
	Cancel  func()
}
