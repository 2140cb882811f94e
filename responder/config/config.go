package config

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// Values of Config.Datapath.
const (
	DatapathAuto    = "auto"    // the best that works
	DatapathNative  = "native"  // AF_XDP, XDP in the driver
	DatapathGeneric = "generic" // AF_XDP, XDP in the stack
	DatapathRingbuf = "ringbuf" // XDP copies to a ring buffer
	DatapathSocket  = "socket"  // UDP sockets, no BPF
)

// Values of Config.Deliver.
const (
	DeliverAuto  = "auto"  // tee where another server or a bridge must see the request too, else steal
	DeliverSteal = "steal" // requests do not reach the host's stack
	DeliverTee   = "tee"   // requests reach the stack as well
)

// Values of Config.Attach.
const (
	AttachAuto     = "auto"     // the daemon loads and attaches the XDP program
	AttachExternal = "external" // the operator does, and pins its maps
)

// Values of Kernel.Answers.
const (
	KernelAuto = "auto" // wherever XDP is attached
	KernelOff  = "off"
)

// Config is a complete configuration. It is not changed once in use.
type Config struct {
	File string // where it comes from; empty: made by Discover or Default

	Interfaces []string   // devices to serve
	Auto       bool       // every up Ethernet, bond or VLAN interface with an IPv4 address; Interfaces is empty
	Address    netip.Addr // boot server address in replies; invalid: the receiving interface's
	Datapath   string     // one of the Datapath constants
	Deliver    string     // one of the Deliver constants
	Attach     string     // one of the Attach constants
	ZeroCopy   bool       // ask for AF_XDP zero-copy
	Kernel     Kernel
	Heartbeat  time.Duration // after which XDP takes a silent daemon for dead
	BPFFS      string        // directory in a BPF file system that pins go to; empty: nothing is pinned
	Control    Control
	Root       string // directory of the boot files; empty: nothing is served by TFTP

	Clients       []netip.Prefix // networks that are answered at all; empty: any
	VendorClasses []string       // prefixes of option 60 that are served, never empty

	Spec   policy.Spec      // rules and profiles as written
	Policy *policy.Snapshot // the same, compiled

	Store       *Store // nil: none, deployments are not used
	Server      string // what this boot server is called; empty: as the host
	Deployments Deployments
	Webhooks    map[string]Webhook
	API         API

	TFTP    TFTP
	Guard   Guard
	Metrics Metrics
	Log     Log

	Warnings []*Error // what is probably not meant

	noStore bool // as `store: none` says
	places  places
}

// Kernel says what the XDP program does by itself.
type Kernel struct {
	Answers string // one of the Kernel constants: requests like those that were answered before
}

// TFTP is the configuration of the file server.
type TFTP struct {
	Port         int
	MaxWindow    int       // blocks
	MaxBlksize   int       // bytes; 0: what the path's MTU carries
	MaxTransfers int       // at one time
	GSO          bool      // let the kernel cut bursts into datagrams; the bytes are the same without
	DataPorts    [2]uint16 // first and last port of data sockets; zero: the kernel's choice
	State        string    // path of the file by which transfers outlive the daemon; default: tftp.state beside Control
	SinglePort   bool      // answers come from Port
	Networks     []TFTPNetwork
	Netascii     bool     // serve reads in mode netascii
	StrictFiles  bool     // a client may fetch what its profile allows, and nothing else
	Uploads      *Uploads // nil: none are taken

	Queue       int   // requests that wait for a place
	Burst       int   // blocks that leave at once; 0: as the interface is
	Bandwidth   int64 // of all, in bytes a second; 0: no bound
	PerClient   TFTPLimits
	PerNetwork  TFTPLimits
	NetworkBits [2]int // of an IPv4 and of an IPv6 address
	Retransmit  TFTPRetransmit
}

// TFTPNetwork has tighter bounds for the clients of a network.
type TFTPNetwork struct {
	Subnet     netip.Prefix
	MaxBlksize int // bytes; 0: as everywhere
	MaxWindow  int // blocks; 0: as everywhere
}

// Uploads says what clients may write.
type Uploads struct {
	Dir       string // where files go
	MaxSize   int64  // bytes of a file
	MaxFiles  int    // in Dir
	MaxTotal  int64  // bytes in Dir
	Overwrite bool   // a file that is there is replaced
}

// TFTPLimits bound what one client address or one network gets. 0: no bound.
type TFTPLimits struct {
	Transfers int   // at one time
	Requests  int   // a second
	Bandwidth int64 // bytes a second
}

// TFTPRetransmit is when blocks are sent again.
type TFTPRetransmit struct {
	Initial, Floor, Ceiling time.Duration // of the wait for an acknowledgement
	GiveUp, Unanswered      time.Duration // of silence in general, and before any acknowledgement
}

// Metrics is the configuration of the Prometheus exporter.
type Metrics struct {
	Listen string // HOST:PORT; empty: off
}

// Log is the configuration of the log.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // console, json
}

// Bounds and defaults of numbers.
const (
	DefaultTFTPPort     = 69
	DefaultMaxWindow    = 64
	DefaultMaxTransfers = 10000
	DefaultHeartbeat    = 2 * time.Second
	MinHeartbeat        = 100 * time.Millisecond // the daemon beats several times within it
	MaxHeartbeat        = time.Minute            // how long a dead daemon may swallow requests at most
	MinBlksize          = 8                      // RFC 2348
	MaxBlksize          = 65464                  // RFC 2348
	maxWindow           = 65535                  // RFC 7440
	maxTransfers        = 1_000_000

	DefaultUploadSize  = 1 << 30
	DefaultUploadFiles = 1000
	DefaultUploadTotal = 16 << 30
	maxUploadFiles     = 100_000
	maxUploadBytes     = 1 << 50
	maxQueue           = 65536
	maxRequests        = 1_000_000
	minBandwidth       = 100_000 / 8 // bytes a second: a message takes some seconds
	maxBandwidth       = 1e12 / 8
)

// maxFileSize bounds the configuration file: tens of thousands of machines.
const maxFileSize = 8 << 20

// Default returns the configuration of an empty file: it answers nobody.
func Default() *Config {
	c := &Config{
		Datapath:      DatapathAuto,
		Deliver:       DeliverAuto,
		Attach:        AttachAuto,
		Kernel:        Kernel{Answers: KernelAuto},
		Heartbeat:     DefaultHeartbeat,
		BPFFS:         "/sys/fs/bpf/xdpxe",
		Control:       Control{Socket: "/run/xdpxe/control.sock", Mode: 0o660},
		VendorClasses: policy.DefaultVendorClasses(),
		Spec:          policy.Spec{Default: policy.Ignore},
		TFTP: TFTP{Port: DefaultTFTPPort, MaxWindow: DefaultMaxWindow, MaxTransfers: DefaultMaxTransfers, GSO: true,
			Queue: 1024, PerClient: TFTPLimits{Requests: 200}, PerNetwork: TFTPLimits{Requests: 2000}, NetworkBits: [2]int{24, 64},
			Retransmit: TFTPRetransmit{time.Second, 20 * time.Millisecond, 4 * time.Second, 30 * time.Second, 15 * time.Second}},
		Deployments: defaultDeployments(),
		Guard:       defaultGuard(),
		Metrics:     Metrics{Listen: "127.0.0.1:9469"},
		Log:         Log{Level: "info", Format: "console"},
	}
	// The empty policy has nothing that could be wrong; a test says so.
	_ = c.compile()
	c.placeState()
	return c
}

// placeState puts the transfers' state beside the control socket.
func (c *Config) placeState() {
	c.TFTP.State = filepath.Join(filepath.Dir(c.Control.Socket), "tftp.state")
}

// compile makes Policy from Spec, Clients, VendorClasses and Webhooks.
func (c *Config) compile() error {
	c.Spec.Clients, c.Spec.VendorClasses, c.Spec.Webhooks = c.Clients, c.VendorClasses, slices.Sorted(maps.Keys(c.Webhooks))
	snapshot, err := policy.Compile(c.Spec)
	if err != nil {
		return err
	}
	c.Policy = snapshot
	return nil
}

// Load reads and parses a file. Mistakes in it are Errors; other errors are
// those of reading it. A relative root is taken from the file's directory.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	if len(text) > maxFileSize {
		return nil, fmt.Errorf("configuration %s: longer than %d bytes", path, maxFileSize)
	}
	return Parse(path, text)
}
