package control

import (
	"context"
	"time"
)

// Status is what a running daemon tells about itself: `xdpxe status --json`
// and GET /v1/status print exactly this. Fields are added, never renamed or
// given another meaning. Counters count since the daemon started.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Time    time.Time `json:"time"` // when this was put together
	Started time.Time `json:"started"`

	Config     Config      `json:"config"`
	Interfaces []Interface `json:"interfaces"` // ordered by name

	Coverage     []Coverage  `json:"coverage,omitempty"`      // how far the kernel answers what each rule decides; bounded
	CoverageMore int         `json:"coverage_more,omitempty"` // rules that were left out there
	Requests     []Requests  `json:"requests"`
	Notes        []Note      `json:"notes"`
	Diagnoses    []Diagnosis `json:"diagnoses"`
	Recent       []Outcome   `json:"recent"`        // last outcomes, newest first; bounded
	OutcomesLost uint64      `json:"outcomes_lost"` // neither logged nor in Recent: too many at once
	CaptureDrops uint64      `json:"capture_drops"` // frames that captures could not keep up with; the control server sets it
	TFTP         TFTP        `json:"tftp"`

	Store       *Store       `json:"store,omitempty"` // absent: none is used
	Deployments *Deployments `json:"deployments,omitempty"`
	Memory      *Memory      `json:"memory,omitempty"`
	Fleet       *Fleet       `json:"fleet,omitempty"` // absent: alone
	Webhooks    []Webhook    `json:"webhooks,omitempty"`
}

// Uptime returns how long the daemon had been running when it made s.
func (s *Status) Uptime() time.Duration { return s.Time.Sub(s.Started) }

// Config says what is being served and how the last reload went.
type Config struct {
	File          string    `json:"file"`           // empty: flags alone (-i, --root)
	Root          string    `json:"root"`           // directory of the boot files
	Loaded        time.Time `json:"loaded"`         // when the configuration in force was loaded
	ReloadsOK     uint64    `json:"reloads_ok"`     // without the first load
	ReloadsFailed uint64    `json:"reloads_failed"` // each left the configuration in force alone
	// LastError is why the newest reload failed, empty once one succeeded since.
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
}

// Interface is one network interface and its way to the wire.
type Interface struct {
	Name  string `json:"name"`
	Index int    `json:"index"`
	MAC   string `json:"mac,omitempty"`
	// State is StateServing, or in a few words why nothing is served there now
	// ("interface gone", "link down", …).
	State string `json:"state"`

	Tier     string    `json:"tier"`               // native, generic, ringbuf, socket; empty: none
	Attach   string    `json:"attach,omitempty"`   // native, generic; empty: no XDP program
	Deliver  string    `json:"deliver,omitempty"`  // steal, tee; empty without XDP
	ZeroCopy bool      `json:"zero_copy"`          // what the AF_XDP sockets obtained
	Queues   int       `json:"queues"`             // receive queues served, each by its own worker
	Why      []string  `json:"why,omitempty"`      // for each better datapath, why it is not in use
	Networks []Network `json:"networks,omitempty"` // addresses that are answered with

	// BeatAge is the age of the heartbeat in seconds; negative: none is kept (no XDP).
	BeatAge float64 `json:"beat_age_seconds"`
	Alive   bool    `json:"alive"` // all workers turn their loops

	Kernel *Kernel    `json:"kernel,omitempty"` // what the XDP program answers by itself; absent without one
	XDP    []XDPCount `json:"xdp,omitempty"`    // only reasons that occurred
	Wire   Wire       `json:"wire"`

	Floods []Flood `json:"floods,omitempty"` // what the guard refuses now: of the last report, a minute old at most
}

// StateServing is the State of an interface whose requests are being answered.
const StateServing = "serving"

// Serving reports whether requests on the interface are being answered now.
func (i *Interface) Serving() bool { return i.State == StateServing && i.Alive }

// Network is one IPv4 address of an interface or of a VLAN device on it.
type Network struct {
	Device string `json:"device"`         // the interface itself or a VLAN device
	VLAN   string `json:"vlan,omitempty"` // ids outermost first, "100" or "100.20"; empty: untagged
	Prefix string `json:"prefix"`         // address/bits
}

// Kernel is how far the XDP program answers requests by itself.
type Kernel struct {
	Active bool `json:"active"`
	// Why says what keeps it from answering: altogether, unless Active, else
	// in part ("DISCOVER: deliver is tee").
	Why           []string        `json:"why,omitempty"`
	Patterns      int             `json:"patterns"` // kinds of requests that it knows
	MaxPatterns   int             `json:"max_patterns"`
	Machines      int             `json:"machines"` // machines that it knows one by one
	MaxMachines   int             `json:"max_machines"`
	EventsDropped uint64          `json:"events_dropped"`    // answers of which it could not tell more than that they were given
	Refused       []KernelRefusal `json:"refused,omitempty"` // requests that it is not told to answer alike
}

// KernelRefusal is how many answered requests were made no template, and why.
type KernelRefusal struct {
	Why   string `json:"why"` // bounded set of words, a metric label
	Count uint64 `json:"count"`
}

// Coverage is how far the kernel answers, on one interface, what a rule decides.
type Coverage struct {
	Rule     string   `json:"rule,omitempty"`    // empty: the default
	Profile  string   `json:"profile,omitempty"` // empty: it ignores
	Iface    string   `json:"iface,omitempty"`   // empty: the same on all
	Stage    string   `json:"stage,omitempty"`   // discover, boot_server; empty: the same at both
	Result   string   `json:"result,omitempty"`  // what the requests got; empty: there were none
	Answers  bool     `json:"answers"`           // the kernel answers them, or ignores them as it should
	Patterns int      `json:"patterns,omitempty"`
	Machines int      `json:"machines,omitempty"`
	Why      []string `json:"why,omitempty"` // why it does not, or not all of them
}

// XDPCount is how many packets left the XDP program for one reason.
type XDPCount struct {
	Reason  string `json:"reason"`
	Packets uint64 `json:"packets"`
}

// Flood is where packets come from that the guard refuses. What is empty is
// not common to most of them.
type Flood struct {
	Reason  string  `json:"reason"`  // as in XDPCount
	Packets uint64  `json:"packets"` // since the report before
	Rate    float64 `json:"per_second"`
	MAC     string  `json:"mac,omitempty"` // the frames' source
	VLAN    string  `json:"vlan,omitempty"`
	Address string  `json:"address,omitempty"`
	Relay   string  `json:"relay,omitempty"`
	Client  string  `json:"client,omitempty"` // hardware address of a DHCP client
	Clients int     `json:"clients"`          // different ones in so many samples
	Samples int     `json:"samples"`
}

// Wire adds up the transports' own counters, in packets.
type Wire struct {
	Received   uint64 `json:"received"`
	Sent       uint64 `json:"sent"`
	BadFrames  uint64 `json:"bad_frames"`
	Stale      uint64 `json:"stale"`
	SendErrors uint64 `json:"send_errors"`
	Dropped    uint64 `json:"dropped"` // by the kernel: ring full, no free frame, socket buffer full
}

// Requests is how many requests ended alike.
type Requests struct {
	Iface  string `json:"iface"`
	Tier   string `json:"tier"`
	Stage  string `json:"stage"`  // discover, boot_server, other
	Reason string `json:"reason"` // packet.Reason: "answered", or why there was no answer
	Count  uint64 `json:"count"`
}

// Note is how many requests on an interface had something noted of them that
// did not decide their fate: option 82 did not fit the reply, no END, ….
type Note struct {
	Iface string `json:"iface"`
	Note  string `json:"note"` // dhcp.Note
	Count uint64 `json:"count"`
}

// Diagnosis counts sightings of something that keeps machines from booting:
// another server that claims PXEClient, a relay that overrides option 54, ….
type Diagnosis struct {
	Kind     string    `json:"kind"`   // bounded set of words, a metric label
	Server   string    `json:"server"` // address of who is at fault; empty if unknown
	Count    uint64    `json:"count"`
	LastSeen time.Time `json:"last_seen,omitzero"`
	Advice   string    `json:"advice,omitempty"`
}

// Outcome is what became of one client's request.
type Outcome struct {
	Time    time.Time `json:"time"`
	Client  string    `json:"client"` // hardware address
	UUID    string    `json:"uuid,omitempty"`
	XID     string    `json:"xid"`
	Iface   string    `json:"iface"`
	Tier    string    `json:"tier"`
	Stage   string    `json:"stage"`
	Relay   string    `json:"relay,omitempty"`
	Arch    string    `json:"arch,omitempty"`
	Reason  string    `json:"reason"`
	Rule    string    `json:"rule,omitempty"`
	Profile string    `json:"profile,omitempty"`
	File    string    `json:"file,omitempty"`
}

// TFTP is the file server's side.
type TFTP struct {
	Listen          []string       `json:"listen,omitempty"` // addresses it answers on
	Hung            int            `json:"hung"`             // event loops that do not turn
	Active          int            `json:"active"`
	Restored        uint64         `json:"restored"` // transfers of the last process that went on
	Lost            uint64         `json:"lost"`     // transfers of the last process that could not
	Queued          int            `json:"queued"`   // requests that wait for a place
	Requests        uint64         `json:"requests"`
	Repeated        uint64         `json:"repeated"`           // requests that repeated one in progress
	Waited          uint64         `json:"waited"`             // requests that had to wait for a place
	Outcomes        []TFTPOutcome  `json:"outcomes,omitempty"` // of finished and of refused transfers
	Unconfirmed     uint64         `json:"unconfirmed"`        // of complete ones: the final acknowledgement never came
	Uploads         uint64         `json:"uploads"`            // of complete ones: files that clients have written
	BytesSent       uint64         `json:"bytes_sent"`         // payload, retransmissions included
	BytesReceived   uint64         `json:"bytes_received"`     // of uploads
	Retransmissions uint64         `json:"retransmissions"`    // DATA packets sent again
	Timeouts        uint64         `json:"timeouts"`           // of retransmission timers
	Capped          uint64         `json:"capped"`             // messages that a bandwidth bound held back
	Strangers       uint64         `json:"strangers"`          // packets to a data port that belong to no transfer
	DiskReads       uint64         `json:"disk_reads"`         // pieces of files read from the disk ahead of the transfers
	DiskWaits       uint64         `json:"disk_waits"`         // times that a transfer waited for one
	LoopFaults      uint64         `json:"loop_faults"`        // times that an event loop waited for the disk, and all its transfers with it
	SendErrors      uint64         `json:"send_errors"`
	Dropped         uint64         `json:"dropped"`             // datagrams that found a socket's buffer full
	Transfers       []TFTPTransfer `json:"transfers,omitempty"` // those under way; bounded
}

// TFTPOutcome is how many transfers ended alike: complete, timeout, refused by
// the client, not_found, ….
type TFTPOutcome struct {
	Outcome string `json:"outcome"`
	Kind    string `json:"kind"` // finished, failed, refused, silent
	Count   uint64 `json:"count"`
}

// TFTPTransfer is one transfer under way.
type TFTPTransfer struct {
	Client     string    `json:"client"` // address and port
	Server     string    `json:"server"` // the same on our side
	File       string    `json:"file"`
	Upload     bool      `json:"upload,omitempty"` // the client writes
	Size       int64     `json:"size"`             // of an upload, as the client announced it, or 0
	Acked      int64     `json:"acked"`            // bytes that the client has confirmed, or sent
	Rate       float64   `json:"bytes_per_second"` // of those, since Started
	BlockSize  int       `json:"block_size"`
	WindowSize int       `json:"window_size"`
	RTT        float64   `json:"rtt_seconds"` // smoothed; 0: not known yet
	Again      uint64    `json:"retransmissions"`
	Started    time.Time `json:"started"`
}

// Source gives the state of the daemon, to which the server adds what it
// counts itself. Snapshot is called from any goroutine, at most a few times a
// second, and must not wait for the network or a worker; it leaves the running
// transfers out. Transfers waits for those who have them, until ctx ends.
type Source interface {
	Snapshot() Status
	Transfers(ctx context.Context) []TFTPTransfer
}
