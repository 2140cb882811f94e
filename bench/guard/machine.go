package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// machine is what can be seen of this machine's network namespaces at one moment.
type machine struct {
	here   *namespace
	all    []*namespace // here is the first
	unseen error        // why a namespace could not be looked at
}

// namespace is one network namespace. Its handles are the machine's.
type namespace struct {
	name  string // for messages; "" for the calling thread's
	ns    netns.NsHandle
	h     *netlink.Handle
	links map[int]*link // by index
	ids   map[int]*namespace
}

// link is an interface of a namespace.
type link struct {
	*netlink.LinkAttrs
	kind string // of rtnetlink; "device" where the kernel names none
	in   *namespace
}

func (l *link) isLoopback() bool { return l.RawFlags&unix.IFF_LOOPBACK != 0 }

// String names the link for a message.
func (l *link) String() string {
	if l.in.name == "" {
		return l.Name
	}
	return l.Name + " in " + l.in.name
}

// newMachine looks at the calling thread's namespace only.
func newMachine() (*machine, error) {
	m := &machine{}
	ns, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("network namespace of this thread: %w", err)
	}
	m.here, err = look("", ns)
	if err != nil {
		return nil, err
	}
	m.all = []*namespace{m.here}
	return m, nil
}

// close gives the handles back.
func (m *machine) close() {
	for _, n := range m.all {
		n.h.Close()
		_ = n.ns.Close()
	}
}

// look reads the links of a namespace; it takes ns over.
func look(name string, ns netns.NsHandle) (*namespace, error) {
	n := &namespace{name: name, ns: ns, links: map[int]*link{}}
	// The library enters the namespace on a locked thread to open a socket
	// there, and comes back.
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		_ = ns.Close()
		return nil, fmt.Errorf("enter %s: %w", orHere(name), err)
	}
	n.h = h
	all, err := h.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		h.Close()
		_ = ns.Close()
		return nil, fmt.Errorf("interfaces of %s: %w", orHere(name), err)
	}
	for _, l := range all {
		own := &link{LinkAttrs: l.Attrs(), kind: l.Type(), in: n}
		if t, ok := l.(*netlink.Tuntap); ok {
			own.kind = t.Mode.String() // tun or tap: two things of one kind
		}
		n.links[own.Index] = own
	}
	return n, nil
}

func orHere(name string) string {
	if name == "" {
		return "this network namespace"
	}
	return name
}

func (n *namespace) byName(ifname string) *link {
	for _, l := range n.links {
		if l.Name == ifname {
			return l
		}
	}
	return nil
}

// Where tools keep namespaces that may have no process in them.
var named = []string{"/run/netns", "/run/docker/netns"}

// lookAround looks at all other namespaces that have a name or a process. What
// vanishes meanwhile is passed over.
func (m *machine) lookAround() error {
	if len(m.all) > 1 {
		return nil
	}
	seen := map[uint64]bool{}
	if id, err := inode(m.here.ns); err == nil {
		seen[id] = true
	}
	for _, dir := range named {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			m.unseen = err
		}
		for _, e := range entries {
			m.add(filepath.Join(dir, e.Name()), "network namespace "+e.Name(), seen)
		}
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, p := range processes {
		if _, err := strconv.Atoi(p.Name()); err == nil {
			m.add("/proc/"+p.Name()+"/ns/net", "the network namespace of process "+p.Name(), seen)
		}
	}
	return nil
}

// add looks at the namespace behind a path, once.
func (m *machine) add(path, name string, seen map[uint64]bool) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		m.missed(err)
		return
	}
	if seen[st.Ino] {
		return
	}
	ns, err := netns.GetFromPath(path)
	if err != nil {
		m.missed(err)
		return
	}
	if id, err := inode(ns); err != nil || id != st.Ino {
		_ = ns.Close() // the name or the process id is another's by now
		return
	}
	n, err := look(name, ns)
	if err != nil {
		m.missed(err)
		return
	}
	seen[st.Ino] = true
	m.all = append(m.all, n)
}

// missed keeps the reason why something could not be seen, unless it is gone or
// never was a namespace (a mount point whose namespace was unmounted).
func (m *machine) missed(err error) {
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.EINVAL) {
		m.unseen = err
	}
}

func inode(ns netns.NsHandle) (uint64, error) {
	var st syscall.Stat_t
	err := syscall.Fstat(int(ns), &st)
	return st.Ino, err
}

// byID finds the namespace that n knows by a number (ip-netns(8): list-id); nil
// if it is not among those that were seen.
func (m *machine) byID(n *namespace, id int) *namespace {
	if n.ids == nil {
		n.ids = map[int]*namespace{}
		for _, other := range m.all {
			if got, err := n.h.GetNetNsIdByFd(int(other.ns)); err == nil && got >= 0 {
				n.ids[got] = other
			}
		}
	}
	return n.ids[id]
}
