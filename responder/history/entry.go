package history

import (
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

// Kind says what an Entry is about.
type Kind string

const (
	Request    Kind = "request"    // it asked; Reason says what became of that
	Transfer   Kind = "transfer"   // of File; Outcome says how it ended
	Deployment Kind = "deployment" // Deployment went to the state Outcome, by Reason
	Note       Kind = "note"       // Detail
)

// Entry is one thing that happened to a machine, or several that were the same.
// What a kind has no use for is empty.
type Entry struct {
	Time  time.Time `json:"time"` // of the first of Count
	Last  time.Time `json:"last"` // of the last
	Count uint64    `json:"count"`
	Kind  Kind      `json:"kind"`

	Stage  string     `json:"stage,omitempty"` // of the PXE exchange
	Iface  string     `json:"iface,omitempty"`
	Tier   string     `json:"tier,omitempty"`
	Arch   string     `json:"arch,omitempty"`
	IPXE   bool       `json:"ipxe,omitempty"` // it asked as iPXE, where that is known
	From   netip.Addr `json:"from,omitzero"`  // where it asked from; of a transfer: its address
	Relay  netip.Addr `json:"relay,omitzero"`
	Reason string     `json:"reason,omitempty"` // "answered", or why there was silence

	Detail     string `json:"detail,omitempty"` // for people
	Rule       string `json:"rule,omitempty"`
	Profile    string `json:"profile,omitempty"`
	Deployment string `json:"deployment,omitempty"` // id
	File       string `json:"file,omitempty"`
	Bytes      int64  `json:"bytes,omitempty"` // that the client acknowledged
	Size       int64  `json:"size,omitempty"`  // of File
	Outcome    string `json:"outcome,omitempty"`
	Server     string `json:"server,omitempty"` // of ours
}

// Told is an Entry as a subscriber hears of it.
type Told struct {
	Machine deploy.Identity `json:"machine,omitzero"` // zero: a group's deployment
	UUID    deploy.Identity `json:"uuid,omitzero"`    // of the machine, if it shows one
	Entry
}

// Outcomes beside those of the file server, and beside the states of deployments.
const (
	Running = "running" // the transfer has not ended
	Deleted = "deleted" // the deployment is
)

// FileTransfer is a transfer as the history hears of it: once when it begins, with
// the outcome Running, and once when it ends.
type FileTransfer struct {
	Client     deploy.Client
	Address    netip.Addr
	File       string
	Outcome    string
	Why        string // for people, if it did not go well
	Sent, Size int64
	Profile    string // that the machine was answered with
	Deployment string // id
	Server     string // of ours
}

// Remark is something to know of a machine: an error in its template, a webhook
// that does not answer.
type Remark struct {
	Client     deploy.Client
	Text       string
	File       string
	Profile    string
	Deployment string
	Server     string
}
