package compare

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/xdpxe/xdpxe/bench/peers"
)

// Work is a load that each peer gets.
type Work struct {
	Name string
	Kind peers.Kind
	Size int64 // of the file that is served, in bytes
	// Load is the command line of xdpxe-bench, without the program.
	Load   func(t Target) []string
	Show   []string // the figures of tables, in order; all are in the JSON
	Ratios []string // those that are compared
	// Apart: the server and the load get processors of their own, where the
	// machine has two and the user names none. A load that keeps its rate to the
	// microsecond never sleeps: a server that the scheduler puts on its processor
	// waits for turns there, and the latency is the scheduler's.
	Apart bool
	// Variant is the one of xdpxe that does it; "": each.
	Variant string
	Alone   bool   // no other server does it
	Bounced bool   // a bounce does it too
	Live    bool   // the load is of live frames
	Note    string // what a reader of the table has to know
}

// does says whether a peer does the work.
func (w *Work) does(p *peers.Peer) bool {
	switch {
	case p.Kind == peers.Bounce:
		return w.Bounced
	case p.Kind != w.Kind:
		return false
	case p.Recipe.Name == Subject:
		return w.Variant == "" || p.Variant == w.Variant
	}
	return !w.Alone
}

// Target is what a load is aimed at.
type Target struct {
	Interface string // the load's own, to the server
	Address   netip.Addr
	Clients   netip.Prefix // addresses on the cable that nobody has
	File      string       // name of the file
	Path      string       // where it can be compared with
	Pid       int          // the server's
	Kind      peers.Kind   // what the server does
	Subject   bool         // it is xdpxe
}

// kernelVariant is xdpxe with answers from the kernel.
const kernelVariant = "kernel"

// answers are the figures of DHCP works.
var answers = []string{"answered", "latency p50", "latency p99", "latency p99.9"}

// trial is how long each rate of a search is held: long enough for 10,000
// requests to the slowest server that was met, short enough for three rounds of
// all works in a quarter of an hour.
const trial = "500ms"

// The works on DHCP. Each clients' address that is asked from on port 4011 is
// one that the server has to find by ARP, once.
func dhcpWorks() []Work {
	most := append([]string{"highest rate"}, answers...)
	return []Work{
		{Name: "dhcp-max", Kind: peers.DHCP, Show: most, Ratios: []string{"highest rate"}, Load: func(t Target) []string {
			return []string{"dhcp", "--interface", t.Interface, "--find-max", "--for", trial}
		}},
		{Name: "dhcp-10k", Kind: peers.DHCP, Apart: true, Show: answers, Ratios: []string{"latency p50", "latency p99"}, Load: func(t Target) []string {
			return []string{"dhcp", "--interface", t.Interface, "--rate", "10000", "--for", "3s"}
		}},
		{Name: "4011-max", Kind: peers.DHCP, Show: most, Ratios: []string{"highest rate"}, Load: func(t Target) []string {
			return []string{"dhcp", "--interface", t.Interface, "--what", "bootserver", "--server", t.Address.String(),
				"--client-net", t.Clients.String(), "--find-max", "--for", trial}
		}},
		{Name: "dhcp-max-live", Kind: peers.DHCP, Variant: kernelVariant, Bounced: true, Live: true, Apart: true,
			Show: append([]string{"highest rate", "answered rate"}, answers...), Ratios: []string{"answered rate"},
			Note: "xdpxe and the bounce get live frames; other servers are asked evenly by a packet socket, since bursts of live frames overflow their sockets",
			Load: func(t Target) []string {
				load := []string{"dhcp", "--interface", t.Interface, "--find-max", "--max-rate", "0", "--for", trial}
				switch {
				case t.Kind == peers.Bounce:
					return append(load, "--sender", "live", "--bounced")
				case t.Subject:
					return append(load, "--sender", "live")
				}
				return load
			}},
		{Name: "dhcp-100k", Kind: peers.DHCP, Variant: kernelVariant, Apart: true, Show: answers, Ratios: []string{"latency p50", "latency p99"},
			Note: "xdpxe gets 100,000 requests a second, other servers 10,000",
			Load: func(t Target) []string {
				rate := "10000"
				if t.Subject {
					rate = "100000"
				}
				return []string{"dhcp", "--interface", t.Interface, "--rate", rate, "--for", "3s"}
			}},
		{Name: "dhcp-300k", Kind: peers.DHCP, Variant: kernelVariant, Alone: true, Apart: true, Live: true,
			Show: []string{"answered rate", "answered", "latency p99", "server CPU"},
			Load: func(t Target) []string {
				return []string{"dhcp", "--interface", t.Interface, "--sender", "live", "--rate", "300000", "--for", "5s", "--server-pid", strconv.Itoa(t.Pid)}
			}},
	}
}

// Cell is a load of TFTP: so many clients at once read a file each.
type Cell struct {
	Clients, Blksize, Window int
	Size                     int64
	GRO                      bool // the clients take segments joined (UDP_GRO)
	Loss                     int  // packets that are lost on the way, each way, in per cent
}

var cellPattern = regexp.MustCompile(`^tftp-([0-9]+)x([0-9]+)(KiB|MiB|GiB)-b([0-9]+)-w([0-9]+)(-gro)?(?:-loss([0-9]{1,2}))?$`)

var unitSizes = map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

// drawn is how many clients' course a result holds, for the report.
const drawn = 40

// Bounds of a cell: those of RFC 2348 and 7440, and of a machine's ports.
const (
	maxClients = 50_000
	maxSize    = 4 << 30
	minBlksize = 8
	maxBlksize = 65464
	maxWindow  = 65535
)

// parseCell reads a cell from the name of its work: tftp-200x4MiB-b1468-w16-gro.
func parseCell(name string) (c Cell, err error) {
	m := cellPattern.FindStringSubmatch(name)
	if m == nil {
		return c, fmt.Errorf("work %q: want tftp-CLIENTSxSIZE-bBLKSIZE-wWINDOW[-gro][-lossPERCENT], as in tftp-200x4MiB-b1468-w16-gro", name)
	}
	var sizes int
	for _, f := range []struct {
		dst       *int
		text      string
		what      string
		low, high int
	}{
		{&c.Clients, m[1], "clients", 1, maxClients}, {&sizes, m[2], "size", 1, maxSize},
		{&c.Blksize, m[4], "blksize", minBlksize, maxBlksize}, {&c.Window, m[5], "window", 1, maxWindow},
	} {
		if *f.dst, err = strconv.Atoi(f.text); err != nil || *f.dst < f.low || *f.dst > f.high {
			return c, fmt.Errorf("work %q: %s is %s, want %d to %d", name, f.what, f.text, f.low, f.high)
		}
	}
	c.Size, c.GRO = int64(sizes)*unitSizes[m[3]], m[6] != ""
	c.Loss, _ = strconv.Atoi(m[7]) // two digits at most, or none
	if c.Size > maxSize {
		return c, fmt.Errorf("work %q: files are at most %d GiB", name, maxSize>>30)
	}
	return c, nil
}

func (c Cell) work(name string) Work {
	return Work{Name: name, Kind: peers.TFTP, Size: c.Size,
		Show:   []string{"goodput", "time p50", "time p99", "fairness", "server CPU per GiB"},
		Ratios: []string{"goodput", "time p99", "server CPU per GiB"},
		Load: func(t Target) []string {
			load := []string{"tftp", "--server", t.Address.String(), "--file", t.File, "--expect", t.Path, "--clients", strconv.Itoa(c.Clients),
				"--blksize", strconv.Itoa(c.Blksize), "--windowsize", strconv.Itoa(c.Window), "--gro=" + strconv.FormatBool(c.GRO),
				"--server-pid", strconv.Itoa(t.Pid), "--spans", strconv.Itoa(drawn)}
			if c.Loss > 0 {
				load = append(load, "--loss", strconv.Itoa(c.Loss)+"%")
			}
			return load
		}}
}

// defaultCells are the file transfers of the default set: clients that read one
// block at a time, as old boot programs do, and windows as boot managers ask for.
var defaultCells = []string{"tftp-100x1MiB-b1468-w1", "tftp-200x4MiB-b1468-w16", "tftp-200x4MiB-b1468-w16-gro"}

// Default returns the works that a comparison has when nothing else is asked for.
func Default() []Work {
	works := dhcpWorks()
	for _, name := range defaultCells {
		cell, err := parseCell(name)
		if err != nil {
			panic(err) // a test reads them all
		}
		works = append(works, cell.work(name))
	}
	return works
}

// Select returns works by name: "dhcp" and "tftp" are those of the default set,
// a cell of TFTP is written out; no name is the default set.
func Select(names []string) ([]Work, error) {
	if len(names) == 0 {
		return Default(), nil
	}
	var works []Work
	seen := make(map[string]bool)
	for _, name := range names {
		some, err := find(name)
		if err != nil {
			return nil, err
		}
		for _, w := range some {
			if !seen[w.Name] {
				works = append(works, w)
			}
			seen[w.Name] = true
		}
	}
	return works, nil
}

func find(name string) (works []Work, err error) {
	var known []string
	for _, w := range Default() {
		if w.Name == name || string(w.Kind) == name {
			works = append(works, w)
		}
		known = append(known, w.Name)
	}
	if len(works) > 0 {
		return works, nil
	}
	if !strings.HasPrefix(name, "tftp-") {
		return nil, fmt.Errorf("no work %q: dhcp, tftp, %s, or another tftp-CLIENTSxSIZE-bBLKSIZE-wWINDOW[-gro][-lossPERCENT]", name, strings.Join(known, ", "))
	}
	cell, err := parseCell(name)
	if err != nil {
		return nil, err
	}
	return []Work{cell.work(name)}, nil
}
