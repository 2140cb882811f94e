package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
)

// expiry bounds the wait for a heartbeat to become stale or to move. A daemon
// that was killed a moment ago looks alive for as long as its heartbeat may age.
const (
	expiry      = 10 * time.Second
	expiryCheck = 20 * time.Millisecond
)

// Removed says what Detach found and took away.
type Removed struct {
	Program  ebpf.ProgramID // 0: no program of ours was attached
	Mode     Mode
	LinkID   link.ID  // 0: it was attached by netlink
	Offloads []string // features that were turned on again
}

// Detach removes what a killed xdpxe left on an interface: its program, and
// VLAN offloads that are off because of it. It refuses to touch another
// program (ErrBusy) and that of an xdpxe that lives (ErrRunning); to be sure
// of the latter it may take as long as a heartbeat lasts. It needs
// CAP_SYS_ADMIN where a program is attached that is not pinned below pinDir.
func Detach(iface, runDir, pinDir string) (Removed, error) {
	f, err := netdev.Read(iface)
	if err != nil {
		return Removed{}, err
	}
	removed, err := removePinned(f, pinDir)
	if err == nil && removed.Program == 0 {
		removed, err = removeLeftover(f)
	}
	if mayLive(err) {
		return Removed{}, err // its offloads are in use
	}
	restored, errOffload := loadOffloads(runDir, f).restore(iface)
	removed.Offloads = restored
	return removed, errors.Join(err, errOffload)
}

// removePinned takes away what an xdpxe pinned that ended.
func removePinned(f *netdev.Facts, pinDir string) (removed Removed, err error) {
	if pinDir == "" {
		return removed, nil
	}
	path, err := pinPath(pinDir, f.Index)
	if err != nil {
		return removed, err
	}
	p, err := lockPins(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return removed, nil
	case errors.Is(err, errPinsLocked):
		return removed, running(f)
	case err != nil:
		return removed, fmt.Errorf("interface %s: pins: %w", f.Name, err)
	}
	former, err := p.findFormer(f)
	if err != nil {
		return removed, errors.Join(err, p.release())
	}
	if former != nil {
		removed = Removed{Program: former.id, Mode: former.mode}
		if info, err := former.link.Info(); err == nil {
			removed.LinkID = info.ID
		}
		err = former.end()
	}
	return removed, errors.Join(err, p.remove())
}

// removeLeftover takes away a dead xdpxe's program. Any other is a BusyError.
func removeLeftover(f *netdev.Facts) (Removed, error) {
	a, err := inspect(f.Name, f.Index)
	if a == nil || err != nil {
		return Removed{}, err
	}
	defer a.close()
	if !a.ours {
		return Removed{}, a.busy()
	}
	dead, err := a.dead()
	if err != nil {
		return Removed{}, fmt.Errorf("interface %s: does xdpxe's program id %d still have its daemon: %w", f.Name, a.id, err)
	}
	if !dead {
		return Removed{}, a.busy()
	}
	if err := a.remove(); err != nil {
		return Removed{}, fmt.Errorf("interface %s: remove xdpxe's leftover program id %d: %w", f.Name, a.id, err)
	}
	return Removed{Program: a.id, Mode: a.mode, LinkID: a.linkID}, nil
}

// mayLive reports whether the error of removeLeftover leaves it possible that
// the program belongs to an xdpxe that lives.
func mayLive(err error) bool {
	var busy *BusyError
	return err != nil && !(errors.As(err, &busy) && busy.Known && !busy.Ours)
}

// dead reports whether the program's daemon is no more. It is alive if the
// heartbeat moves, dead once the program itself holds it stale.
func (a *attached) dead() (bool, error) {
	beats, err := a.findMap(bpf.HeartbeatMap)
	if err != nil {
		return false, err
	}
	defer beats.Close()
	counters, err := a.findMap(bpf.CountersMap)
	if err != nil {
		return false, err
	}
	defer counters.Close()
	var first, beat uint64
	if err := beats.Lookup(uint32(0), &first); err != nil {
		return false, fmt.Errorf("%s: %w", bpf.HeartbeatMap, err)
	}
	for end := time.Now().Add(expiry); ; time.Sleep(expiryCheck) {
		stale, err := a.stale(counters)
		if err != nil {
			return false, err
		}
		if err := beats.Lookup(uint32(0), &beat); err != nil {
			return false, fmt.Errorf("%s: %w", bpf.HeartbeatMap, err)
		}
		switch {
		case beat != first && beat != 0:
			return false, nil
		case stale:
			return true, nil
		case time.Now().After(end):
			return false, nil
		}
	}
}

// stale asks the program itself, which alone knows how long it was told to
// wait: it is given a frame of no protocol and counts why it let it pass. The
// place of that counter is the same in every version (bpf/abi.h: append only).
func (a *attached) stale(counters *ebpf.Map) (bool, error) {
	before, err := sum(counters, uint32(bpf.HeartbeatStale))
	if err != nil {
		return false, err
	}
	frame := make([]byte, 64)
	frame[12], frame[13] = 0x88, 0xb5 // IEEE 802 local experimental EtherType
	if _, err := a.prog.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, 64+256)}); err != nil {
		return false, fmt.Errorf("run program id %d: %w", a.id, err)
	}
	after, err := sum(counters, uint32(bpf.HeartbeatStale))
	return after != before, err
}

// remove takes exactly this program off the interface.
func (a *attached) remove() error {
	if a.linkID == 0 {
		return a.removeByNetlink()
	}
	l, err := link.NewFromID(a.linkID)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer l.Close()
	return l.Detach()
}

// removeByNetlink tells the kernel which program it expects to remove, so that
// one that has come in its place stays.
func (a *attached) removeByNetlink() error {
	const expectedFD = 8 // IFLA_XDP_EXPECTED_FD
	flags := uint32(unix.XDP_FLAGS_REPLACE | unix.XDP_FLAGS_DRV_MODE)
	if a.mode == ModeGeneric {
		flags = unix.XDP_FLAGS_REPLACE | unix.XDP_FLAGS_SKB_MODE
	}
	req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(a.ifindex)
	req.AddData(msg)
	xdp := nl.NewRtAttr(unix.IFLA_XDP|unix.NLA_F_NESTED, nil)
	xdp.AddRtAttr(nl.IFLA_XDP_FD, nl.Uint32Attr(0xffffffff))
	xdp.AddRtAttr(nl.IFLA_XDP_FLAGS, nl.Uint32Attr(flags))
	xdp.AddRtAttr(expectedFD, nl.Uint32Attr(uint32(a.prog.FD())))
	req.AddData(xdp)
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// DetachGone removes what is pinned below pinDir for interfaces that are no
// more, in any network namespace, and returns how many there were.
func DetachGone(pinDir string) (n int, err error) {
	entries, err := os.ReadDir(pinDir)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err == nil {
		err = onBPFFS(pinDir)
	}
	if err != nil {
		return 0, fmt.Errorf("pins: %w", err)
	}
	var errs []error
	for _, e := range entries {
		var cookie uint64
		var ifindex int
		if got, _ := fmt.Sscanf(e.Name(), "%d-%d", &cookie, &ifindex); got != 2 {
			continue
		}
		p, err := lockPins(filepath.Join(pinDir, e.Name()))
		if err != nil {
			if !errors.Is(err, errPinsLocked) && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
			continue
		}
		l, info := p.link()
		if l != nil {
			l.Close()
		}
		if l != nil && info.XDP().Ifindex != 0 { // the kernel takes the number away with the interface
			errs = append(errs, p.release())
			continue
		}
		errs = append(errs, p.remove())
		n++
	}
	return n, errors.Join(errs...)
}
