package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
)

// DefaultPinDir is where pins go on a host whose bpffs is where systemd mounts it.
const DefaultPinDir = "/sys/fs/bpf/xdpxe"

// Names in an interface's directory. A bpffs allows no dots. Every version
// keeps those of lock (the directory itself), link and program, so that each
// can replace any other.
const (
	pinnedLink    = "link"
	pinnedProgram = "program"
	nextProgram   = "program-next" // before the link has it
	pinnedMaps    = "maps-"        // and the layout's name
)

// errPinsLocked: another process has the directory's lock.
var errPinsLocked = errors.New("locked by another process")

// pins is an interface's directory in a bpffs. Whoever has it locked is the
// interface's daemon: the kernel drops the lock with the process.
type pins struct {
	path string
	dir  *os.File // holds the lock
	kept bool     // it is the operator's, and stays
}

// pinPath names an interface's directory by the cookie of the network namespace
// of the calling thread, which is not used twice until the next boot, and its
// number: a bpffs is shared by namespaces, and names of interfaces repeat in them.
func pinPath(base string, ifindex int) (string, error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("network namespace's cookie: %w", err)
	}
	defer unix.Close(s)
	cookie, err := unix.GetsockoptUint64(s, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return "", fmt.Errorf("network namespace's cookie: %w", err)
	}
	return filepath.Join(base, fmt.Sprintf("%d-%d", cookie, ifindex)), nil
}

// openPins makes and locks an interface's directory below base, which may have
// to be made itself.
func openPins(base string, ifindex int) (*pins, error) {
	path, err := pinPath(base, ifindex)
	if err != nil {
		return nil, err
	}
	err = onBPFFS(base)
	if errors.Is(err, fs.ErrNotExist) {
		if err = onBPFFS(filepath.Dir(base)); err == nil {
			err = os.Mkdir(base, 0o700)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	for {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		p, err := lockPins(path)
		if !errors.Is(err, fs.ErrNotExist) { // else it was removed by whoever had it before
			return p, err
		}
	}
}

// lockPins opens and locks a directory that is there.
func lockPins(path string) (*pins, error) {
	dir, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	p := &pins{path: path, dir: dir}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errPinsLocked
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	// The lock counts if the directory is still the one with that name.
	mine, err := dir.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Stat(path); err == nil && !os.SameFile(mine, there) {
			err = fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return p, nil
}

func onBPFFS(path string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	if uint32(st.Type) != unix.BPF_FS_MAGIC {
		return fmt.Errorf("%s is not in a bpffs", path)
	}
	return nil
}

func (p *pins) at(name string) string { return filepath.Join(p.path, name) }

// release gives up the lock and leaves the pins.
func (p *pins) release() error { return p.dir.Close() }

// unpin removes one pin; none is no error.
func (p *pins) unpin(name string) error {
	if err := os.Remove(p.at(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// remove removes all pins and the directory, and gives up the lock. What only
// the pins kept ends.
func (p *pins) remove() error {
	if p.kept {
		return p.release()
	}
	return errors.Join(os.RemoveAll(p.path), p.dir.Close())
}

// link opens the pinned link; nil if there is none, or something else has its name.
func (p *pins) link() (link.Link, *link.Info) {
	l, err := link.LoadPinnedLink(p.at(pinnedLink), nil)
	if err != nil {
		return nil, nil
	}
	info, err := l.Info()
	if err != nil || info.Type != link.XDPType || info.XDP() == nil {
		l.Close()
		return nil, nil
	}
	return l, info
}

// ours reports whether a program is pinned here as ours. The name would not do:
// nobody without CAP_SYS_ADMIN can ask for that of a program that is not pinned.
func (p *pins) ours(id ebpf.ProgramID) bool {
	for _, name := range []string{pinnedProgram, nextProgram} {
		prog, err := ebpf.LoadPinnedProgram(p.at(name), nil)
		if err != nil {
			continue
		}
		info, err := prog.Info()
		prog.Close()
		if err != nil || info.Name != bpf.ProgramName {
			continue
		}
		if has, ok := info.ID(); ok && has == id {
			return true
		}
	}
	return false
}

// maps opens the pinned maps of a layout; nil unless all are there and as the
// spec says. The caller closes them.
func (p *pins) maps(spec *ebpf.CollectionSpec, layout string) map[string]*ebpf.Map {
	found := map[string]*ebpf.Map{}
	for name, want := range spec.Maps {
		if !lasting(name) {
			continue
		}
		m, err := ebpf.LoadPinnedMap(filepath.Join(p.at(pinnedMaps+layout), name), nil)
		if err == nil {
			found[name] = m
			err = want.Compatible(m)
		}
		if err != nil {
			closeMaps(found)
			return nil
		}
	}
	return found
}

func closeMaps(maps map[string]*ebpf.Map) {
	for _, m := range maps {
		m.Close()
	}
}

// pinMaps replaces what maps there are by those of coll.
func (p *pins) pinMaps(coll *ebpf.Collection, layout string) error {
	if err := p.unpinMaps(); err != nil {
		return err
	}
	dir := p.at(pinnedMaps + layout)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for name, m := range coll.Maps {
		if !lasting(name) {
			continue
		}
		if err := m.Pin(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("pin %s: %w", name, err)
		}
	}
	return nil
}

// unpinMaps removes the maps of every layout.
func (p *pins) unpinMaps() error {
	entries, err := os.ReadDir(p.path)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), pinnedMaps) {
			err = errors.Join(err, os.RemoveAll(p.at(e.Name())))
		}
	}
	return err
}

// pinNext pins the program that the link is to have next, pinProgram makes it
// the one that it has. In between either may be: ours looks at both.
func (p *pins) pinNext(prog *ebpf.Program) error {
	if err := p.unpin(nextProgram); err != nil {
		return err
	}
	if err := prog.Pin(p.at(nextProgram)); err != nil {
		return fmt.Errorf("pin the program: %w", err)
	}
	return nil
}

func (p *pins) pinProgram() error { return os.Rename(p.at(nextProgram), p.at(pinnedProgram)) }
