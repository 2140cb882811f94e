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
	Time, Last time.Time // of the first and the last of Count
	Count      uint64
	Kind       Kind

	Stage  string // of the PXE exchange
	Iface  string
	Tier   string
	Arch   string
	IPXE   bool       // it asked as iPXE, where that is known
	From   netip.Addr // its address, as it says or asks for: of a DISCOVER 0.0.0.0
	Relay  netip.Addr
	Reason string // "answered", or why there was silence

	Detail     string // a word that says more than Reason; of a transfer or note: a text for people
	Rule       string
	Profile    string
	Deployment string // id
	File       string
	Bytes      int64 // that the client acknowledged
	Size       int64 // of File
	Outcome    string
	Server     string // of ours
}

// Told is an Entry as a subscriber hears of it.
type Told struct {
	Machine deploy.Identity // zero: a group's deployment
	UUID    deploy.Identity // of the machine, if it shows one
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
