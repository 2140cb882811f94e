package deploy

import (
	"fmt"
	"time"
)

// State is how far a machine is in a deployment.
type State string

const (
	Waiting   State = "waiting"   // the machine has not asked yet
	Offered   State = "offered"   // it was answered
	Loading   State = "loading"   // it fetches a file
	Booted    State = "booted"    // it has its boot program
	Done      State = "done"      // the milestone is reached, or the installer says so
	Failed    State = "failed"    // until it is armed again
	Cancelled State = "cancelled" // by an operator
	Expired   State = "expired"   // the window closed before it was used up
)

// Run is one machine's way through a deployment. It is what is stored, which
// is not all: At says how it looks at a time.
type Run struct {
	State   State     `json:"state"`
	Since   time.Time `json:"since"`
	Reason  string    `json:"reason,omitempty"`
	Attempt int       `json:"attempt,omitempty"` // how often it was armed again, or, standing, asked from the start

	Address Identity `json:"address,omitzero"` // who asked last; from Loading on, who it is loaded by
	Server  string   `json:"server,omitempty"` // which of our servers did that

	File    string    `json:"file,omitempty"`
	Sent    int64     `json:"sent,omitempty"` // bytes of File; Size 0: not known
	Size    int64     `json:"size,omitempty"`
	Updated time.Time `json:"updated,omitzero"` // when Sent was noted
	Booted  time.Time `json:"booted,omitzero"`

	// Consumed: the milestone's last block could go out from here on, so nothing
	// of the deployment is given again. Claim is the transfer that had that right.
	Consumed time.Time `json:"consumed,omitzero"`
	Claim    string    `json:"claim,omitempty"`
}

// ConfirmWithin is how long a consumed milestone may stay without the client's
// acknowledgement of its last block, and without word that the transfer failed.
// Then the server died in between: nobody knows whether the client has the block.
const ConfirmWithin = 2 * time.Minute

// At returns how a run looks at a time. What the clock and an operator's
// cancellation do to a run is not stored but found here, so that no server need
// be there to do it.
func (r Run) At(d *Deployment, now time.Time) Run {
	if r.State == "" {
		r.State, r.Since = Waiting, d.Created
	}
	expires := r.State == Waiting || r.State == Offered || !d.Once && r.State != Loading || d.Once && r.State == Booted && r.Consumed.IsZero()
	switch {
	case d.Cancelled != nil && !(d.Once && r.over()):
		r.State, r.Since, r.Reason = Cancelled, d.Cancelled.Time, d.Cancelled.Reason
		if by := d.Cancelled.By; by != "" {
			r.Reason = orText(r.Reason, "by "+by)
		}
	case r.lapsed(now):
		r.State, r.Since = Failed, r.Consumed.Add(ConfirmWithin)
		r.Reason = fmt.Sprintf("the last block of %s was about to be sent by %s, and nothing was heard since: whether the machine has it is not known", r.File, orText(r.Server, "a server"))
	case expires && !d.NotAfter.IsZero() && !now.Before(d.NotAfter):
		r.State, r.Since, r.Reason = Expired, d.NotAfter, "the window closed"
	}
	return r
}

// lapsed: consumed, and never confirmed.
func (r *Run) lapsed(now time.Time) bool {
	return r.State == Loading && !r.Consumed.IsZero() && !now.Before(r.Consumed.Add(ConfirmWithin))
}

// over: a once-deployment has ended by itself, well or not.
func (r *Run) over() bool {
	return r.State == Done || r.State == Failed || !r.Consumed.IsZero()
}

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
