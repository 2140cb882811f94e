package loader

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
)

// attachedGeneric is how IFLA_XDP_ATTACHED names the generic hook
// (linux/if_link.h: XDP_ATTACHED_SKB).
const attachedGeneric = 2

// attached is the XDP program found on an interface.
type attached struct {
	iface   string
	ifindex int
	id      ebpf.ProgramID
	mode    Mode
	// The rest is known only where known is set: it takes CAP_SYS_ADMIN.
	known  bool
	name   string
	tag    string
	linkID link.ID // 0: attached by netlink
	ours   bool
	prog   *ebpf.Program
	maps   []ebpf.MapID
}

// inspect looks for an XDP program on an interface; nil if there is none. The
// caller closes what it returns.
func inspect(iface string, ifindex int) (a *attached, err error) {
	for range 3 {
		if a, err = inspectOnce(iface, ifindex); !errors.Is(err, os.ErrNotExist) {
			return a, err
		}
		// It went away between two questions: ask again.
	}
	return nil, err
}

func inspectOnce(iface string, ifindex int) (*attached, error) {
	l, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w: %w", iface, ErrGone, err)
	}
	x := l.Attrs().Xdp
	if x == nil || !x.Attached {
		return nil, nil
	}
	a := &attached{iface: iface, ifindex: ifindex, id: ebpf.ProgramID(x.ProgId), mode: ModeNative}
	if x.AttachMode == attachedGeneric {
		a.mode = ModeGeneric
	}
	if err := a.look(); err != nil {
		a.close()
		if errors.Is(err, unix.EPERM) {
			return a, nil
		}
		return nil, fmt.Errorf("interface %s: XDP program id %d: %w", iface, a.id, err)
	}
	a.known = true
	return a, nil
}

// look fills in what the kernel says of the program and its link.
func (a *attached) look() error {
	if a.id == 0 { // offloaded, or in several modes at once: not one program
		return nil
	}
	prog, err := ebpf.NewProgramFromID(a.id)
	if err != nil {
		return err
	}
	a.prog = prog
	info, err := prog.Info()
	if err != nil {
		return err
	}
	a.name, a.tag = info.Name, info.Tag
	a.maps, _ = info.MapIDs()
	if a.linkID, err = findLink(a.ifindex, a.id); err != nil {
		return err
	}
	a.ours, err = a.isOurs()
	return err
}

// isOurs tells our programs by name and maps, not by tag: the one of another
// version is ours as well.
func (a *attached) isOurs() (bool, error) {
	if a.name != bpf.ProgramName {
		return false, nil
	}
	missing := []string{bpf.HeartbeatMap, bpf.SettingsMap, bpf.CountersMap}
	for _, id := range a.maps {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return false, err
		}
		info, err := m.Info()
		m.Close()
		if err != nil {
			return false, err
		}
		missing = slices.DeleteFunc(missing, func(name string) bool { return kernelName(name) == info.Name })
	}
	return len(missing) == 0, nil
}

// kernelName cuts a name as the kernel does (BPF_OBJ_NAME_LEN with its zero).
func kernelName(name string) string { return name[:min(len(name), 15)] }

// findMap opens the program's map of that name; the caller closes it.
func (a *attached) findMap(name string) (*ebpf.Map, error) {
	for _, id := range a.maps {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return nil, err
		}
		if info, err := m.Info(); err == nil && info.Name == kernelName(name) {
			return m, nil
		}
		m.Close()
	}
	return nil, fmt.Errorf("program id %d: no %s: %w", a.id, name, ebpf.ErrKeyNotExist)
}

// findLink returns the bpf_link that holds the program on the interface, 0 if
// there is none: then it was attached by netlink. Interface numbers repeat
// across namespaces, the program's id does not.
func findLink(ifindex int, prog ebpf.ProgramID) (link.ID, error) {
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil || info.Type != link.XDPType || info.Program != prog {
			continue
		}
		if x := info.XDP(); x != nil && int(x.Ifindex) == ifindex {
			return it.ID, nil
		}
	}
	return 0, it.Err()
}

// busy returns the error that says that the program is in the way.
func (a *attached) busy() *BusyError {
	return &BusyError{
		Iface: a.iface, ProgramID: a.id, Name: a.name, Mode: a.mode, LinkID: a.linkID, Ours: a.ours, Known: a.known && a.id != 0,
	}
}

// close gives the descriptors back; nil will do.
func (a *attached) close() {
	if a != nil && a.prog != nil {
		a.prog.Close()
		a.prog = nil
	}
}
