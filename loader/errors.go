package loader

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk"
)

var (
	// ErrBusy is what every BusyError is.
	ErrBusy = errors.New("another XDP program is attached")
	// ErrRunning: the program on the interface belongs to an xdpxe that lives.
	ErrRunning = errors.New("another xdpxe is running on the interface")
	// ErrDown: the interface is administratively down.
	ErrDown = errors.New("interface is down")
	// ErrGone: the interface was deleted.
	ErrGone = errors.New("interface is gone")
	// ErrBondMember: requests come in on the bond, not on its member.
	ErrBondMember = errors.New("interface is a member of a bond")
	// ErrUnusable: what was asked for does not work here; the text says why.
	ErrUnusable = errors.New("datapath does not work here")
)

// BusyError says which program is attached to an interface that is to be
// ours. It satisfies errors.Is(err, ErrBusy), and ErrRunning where Ours.
type BusyError struct {
	Iface     string
	ProgramID ebpf.ProgramID // 0: not known
	Name      string         // empty where CAP_SYS_ADMIN is missing to ask
	Mode      Mode
	LinkID    link.ID // 0: attached by netlink, or not known
	Ours      bool    // an xdpxe that lives
	Known     bool    // Name and LinkID were looked up
}

func (e *BusyError) Error() string {
	var b strings.Builder
	if e.Ours && e.ProgramID == 0 {
		return e.Iface + ": another xdpxe is running there; stop that one first"
	}
	fmt.Fprintf(&b, "%s: %s XDP program id %d", e.Iface, e.Mode, e.ProgramID)
	if e.Name != "" {
		fmt.Fprintf(&b, " %q", e.Name)
	}
	if e.Ours {
		b.WriteString(" is attached by another xdpxe that is running; stop that one first")
		return b.String()
	}
	off := fmt.Sprintf("ip link set dev %s xdp off", e.Iface)
	if e.Mode == ModeGeneric {
		off = fmt.Sprintf("ip link set dev %s xdpgeneric off", e.Iface)
	}
	detach := fmt.Sprintf("bpftool link detach id %d", e.LinkID)
	b.WriteString(" is attached already and xdpxe replaces no program but its own; remove it with `")
	switch {
	case e.LinkID != 0:
		b.WriteString(detach + "`")
	case e.Known:
		b.WriteString(off + "`")
	default:
		fmt.Fprintf(&b, "%s`; if that says \"Can't replace active BPF XDP link\", find its link by `bpftool link` and detach that; if a killed xdpxe left it, `xdpxe detach %s` as root does", off, e.Iface)
	}
	return b.String()
}

// Is makes errors.Is find ErrBusy and ErrRunning.
func (e *BusyError) Is(target error) bool {
	return target == ErrBusy || e.Ours && target == ErrRunning
}

// loadReason says in words why the program or a map could not be loaded.
func loadReason(err error) error {
	var refused *ebpf.VerifierError
	switch {
	case errors.As(err, &refused) && len(refused.Log) > 0:
		// Its text quotes the log's last line, or the one before the verifier's statistics.
		return fmt.Errorf("this kernel's verifier refuses the program: %w", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("the kernel forbids BPF to this process (a container without CAP_BPF in the initial user namespace, or a security module): %w", err)
	case errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("this kernel lacks a feature of BPF: %w", err)
	}
	return err
}

// attachReason says in words why the driver or kernel did not take the
// program. Drivers explain themselves to netlink only, so this reads errno
// with the facts at hand.
func attachReason(err error, mode Mode, f *netdev.Facts) error {
	driver := f.Driver
	if driver == "" {
		driver = f.Kind
	}
	switch {
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w: %w", ErrGone, err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("driver %s has no %s XDP: %w", driver, mode, err)
	case errors.Is(err, unix.EEXIST):
		return fmt.Errorf("a program on a device above or in the other mode is in the way: %w", err)
	case errors.Is(err, unix.ENOSPC) && driver == "veth":
		return fmt.Errorf("driver veth needs as many RX queues (%d here) as its peer has TX queues: %w", f.RXQueues, err)
	case mode == ModeNative && f.MTU > 1500 &&
		(errors.Is(err, unix.ERANGE) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.E2BIG)):
		return fmt.Errorf("driver %s refuses native XDP, likely because of MTU %d: lower it (one page, about 3500, is the usual limit): %w", driver, f.MTU, err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("not permitted to attach (CAP_NET_ADMIN in the namespace of the interface): %w", err)
	}
	return fmt.Errorf("driver %s refuses %s XDP (MTU %d, %d RX and %d TX queues): %w", driver, mode, f.MTU, f.RXQueues, f.TXQueues, err)
}

// socketReason says in words why an AF_XDP socket could not be had.
func socketReason(err error) error {
	switch {
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w: %w", ErrGone, err)
	case errors.Is(err, unix.ENETDOWN):
		return fmt.Errorf("%w: %w", ErrDown, err)
	case errors.Is(err, xsk.ErrMemlock):
		return fmt.Errorf("memory for AF_XDP: %w", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("AF_XDP sockets are forbidden to this process (CAP_NET_RAW): %w", err)
	}
	return err
}
