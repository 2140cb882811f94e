package api

import (
	"net/url"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/history"
	"github.com/xdpxe/xdpxe/responder/store"
)

// Page is a part of a list, in order.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"` // the `after` of the next page; empty: this is the last one
}

// NewDeployment is what a client says of a deployment that it creates.
type NewDeployment struct {
	ID        string            `json:"id,omitempty"` // the server gives one if it is empty; with one a create can be repeated
	Target    deploy.Target     `json:"target"`
	Profile   string            `json:"profile"`
	Once      bool              `json:"once,omitempty"`
	Milestone deploy.Milestone  `json:"milestone,omitzero"`
	NotBefore time.Time         `json:"not_before,omitzero"`
	NotAfter  time.Time         `json:"not_after,omitzero"`
	Variables map[string]string `json:"variables,omitempty"`
	Note      string            `json:"note,omitempty"`
}

// CreateResults say what became of each deployment of a call, in its order.
type CreateResults struct {
	Created int            `json:"created"`
	Existed int            `json:"existed"`
	Failed  int            `json:"failed"`
	Items   []CreateResult `json:"items"`
}

// CreateResult is what became of one.
type CreateResult struct {
	ID       string    `json:"id"`
	Revision store.Rev `json:"revision,omitempty"`
	Existed  bool      `json:"existed"` // it was there, and is the same
	Problem  *Problem  `json:"problem,omitempty"`
}

// DeploymentFilter says which deployments to list; empty fields do not matter.
type DeploymentFilter struct {
	State   deploy.State
	Machine deploy.Identity // named itself, or by one of its groups
	Group   string
	Profile string
}

// Reason is why somebody cancels a deployment, or ignores machines.
type Reason struct {
	Reason string `json:"reason,omitempty"`
}

// Arm lets a deployment run again; a group's for one machine.
type Arm struct {
	Machine deploy.Identity `json:"machine,omitzero"`
}

// Callback is an installer's word.
type Callback struct {
	Machine deploy.Identity `json:"machine,omitzero"` // of a group's deployment; a token names it too
	Failed  bool            `json:"failed,omitempty"`
	Message string          `json:"message,omitempty"`
}

// MachineFilter says which machines to list.
type MachineFilter struct {
	State string // MachineHeld, …; empty: all
	Group string
}

// States of machines in a MachineFilter.
const (
	MachineHeld     = "held"     // waits for approval
	MachineApproved = "approved" // has it
	MachineIgnored  = "ignored"  // is on the ignore list, itself or its vendor
)

// Machine is all that is known of one machine.
type Machine struct {
	deploy.MachineStatus
	Recorded    bool            `json:"recorded"`              // else only deployments or the timeline know of it
	Deployments []deploy.Status `json:"deployments,omitempty"` // that name it or its groups; those of one page
	Timeline    []Entry         `json:"timeline,omitempty"`    // the oldest first
}

// MachinePatch changes what an operator says of a machine; nil fields stay.
type MachinePatch struct {
	Name *string `json:"name,omitempty"`
	Note *string `json:"note,omitempty"`
}

// Approve lets a machine boot; with the rule's profile if it names none.
type Approve struct {
	Profile string `json:"profile,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// GroupNote is what a group is created or changed with.
type GroupNote struct {
	Note string `json:"note,omitempty"`
}

// MembersChange adds machines to a group and takes others out.
type MembersChange struct {
	Add    []deploy.Identity `json:"add,omitempty"`
	Remove []deploy.Identity `json:"remove,omitempty"`
}

// Profile is one of the policy in force.
type Profile struct {
	Name  string            `json:"name"`
	Files map[string]string `json:"files"` // by architecture, or "ipxe"
	Allow []string          `json:"allow,omitempty"`
}

// Members are the servers of a fleet as one of them sees it.
type Members struct {
	Self    string   `json:"self"`
	Fleet   bool     `json:"fleet"`             // it has a store in common with others; else Items has itself only
	Member  bool     `json:"member"`            // the others know of it
	Problem string   `json:"problem,omitempty"` // why not, or what went wrong last
	Items   []Member `json:"items"`             // by name
}

// Member is one of them.
type Member struct {
	Name      string    `json:"name"`
	Draining  bool      `json:"draining"`
	Addresses []string  `json:"addresses,omitempty"`
	Version   string    `json:"version,omitempty"`
	Since     time.Time `json:"since,omitzero"`
}

// Kinds of entries.
const (
	KindRequest    = history.Request
	KindTransfer   = history.Transfer
	KindDeployment = history.Deployment
	KindNote       = history.Note
)

// Entry is one thing that happened to a machine. What happens again and again
// is one entry with a count.
type Entry = history.Entry

// Event is an Entry as it happens.
type Event struct {
	Machine deploy.Identity `json:"machine,omitzero"` // zero: a group's deployment
	UUID    deploy.Identity `json:"uuid,omitzero"`
	Entry
	// Dropped is not 0 in an Event of its own: so many could not be told here.
	Dropped uint64 `json:"-"`
}

// Names of events in the stream.
const (
	EventEntry   = "entry"
	EventDropped = "dropped"
)

// Dropped is told in the stream in the place of what could not be.
type Dropped struct {
	Dropped uint64 `json:"dropped"`
}

// Query describes a client as the flags of `xdpxe explain` do, in their words.
type Query struct {
	MAC, Arch, UUID, Subnet, Relay, UserClass, VendorClass, CircuitID, RemoteID string
}

// fields are the parameters of a Query.
func (q *Query) fields() [9]queryField {
	return [...]queryField{{"mac", &q.MAC}, {"arch", &q.Arch}, {"uuid", &q.UUID}, {"subnet", &q.Subnet}, {"relay", &q.Relay},
		{"user-class", &q.UserClass}, {"vendor-class", &q.VendorClass}, {"circuit-id", &q.CircuitID}, {"remote-id", &q.RemoteID}}
}

type queryField struct {
	name  string
	value *string
}

// Values are the query's parameters; empty ones are left out.
func (q Query) Values() url.Values {
	v := url.Values{}
	for _, f := range q.fields() {
		if *f.value != "" {
			v.Set(f.name, *f.value)
		}
	}
	return v
}

// Explanation is what the daemon would do with a client, and why.
type Explanation struct {
	Answered   bool   `json:"answered"`
	Reason     string `json:"reason"` // packet.Reason
	Detail     string `json:"detail,omitempty"`
	Rule       string `json:"rule,omitempty"`
	Profile    string `json:"profile,omitempty"`
	Deployment string `json:"deployment,omitempty"`
	File       string `json:"file,omitempty"`
	Steps      []Step `json:"steps"`
}

// Step is one line of the way there.
type Step struct {
	Subject string `json:"subject"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"`
}
