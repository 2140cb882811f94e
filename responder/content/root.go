package content

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
)

// What Lookup can say besides a file. Anything else it returns is trouble of the
// machine's (out of descriptors, I/O error), not an answer about the name.
var (
	ErrNotFound = errors.New("file not found")
	ErrIsDir    = errors.New("is a directory")
	ErrRefused  = errors.New("access refused") // one of those below

	ErrBadName      = fmt.Errorf("%w: bad name", ErrRefused) // empty, too long, control characters
	ErrOutside      = fmt.Errorf("%w: outside of the root", ErrRefused)
	ErrNoPermission = fmt.Errorf("%w: no permission", ErrRefused)
	ErrNotRegular   = fmt.Errorf("%w: no regular file", ErrRefused) // a device, a socket, a loop of links
)

// Bounds of the search for a name in another letter case.
const (
	maxScanned    = 1 << 16 // directory entries read for one name
	maxCandidates = 8       // spellings of one component that are followed
)

// Root is a directory of boot files. All methods are safe for concurrent use.
type Root struct {
	path string
	root *os.Root

	listings *listings

	mu   sync.Mutex
	open map[identity]*File // every File with references, by what it holds
}

// Open opens a directory of boot files.
func Open(path string) (*Root, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("boot file root: %w", err)
	}
	return &Root{path: path, root: root, listings: newListings(), open: map[identity]*File{}}, nil
}

// Path returns the path that Open was given.
func (r *Root) Path() string { return r.path }

// Close ends lookups: they fail with os.ErrClosed from then on. Files that were
// opened before stay whole until they are released.
func (r *Root) Close() error {
	r.listings.close()
	return r.root.Close()
}

// Lookup opens the file that a client means by name. The exact spelling wins;
// without it, the first in byte order of those that differ in letter case only.
// The caller owns one reference to the File and must Release it. Lookup may wait
// for the disk; directories that it has read are remembered until they change.
func (r *Root) Lookup(name string) (*File, error) {
	parts, err := split(name)
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%q: %w", name, ErrIsDir)
	}
	f, err := r.openFile(strings.Join(parts, "/"))
	if !errors.Is(err, ErrNotFound) {
		return f, err
	}
	s := search{root: r.root, listings: r.listings, left: maxScanned}
	path, ok := s.find(".", parts)
	if !ok {
		return nil, err
	}
	return r.openFile(path)
}

// openFile opens path, which is clean and relative to the root.
func (r *Root) openFile(path string) (*File, error) {
	// O_NONBLOCK: a FIFO in the tree must not hang us; regular files do not care.
	f, err := r.root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", path, classify(err))
	}
	return r.share(path, f)
}

// classify maps what the system says to one of the package's errors where it is
// about the name, and keeps it where it is about the machine.
func classify(err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return ErrNotFound
	case errors.Is(err, fs.ErrPermission):
		return ErrNoPermission
	case errors.Is(err, os.ErrClosed):
		return err
	case !errors.As(err, &errno):
		return ErrOutside // os.Root's own: path escapes from parent
	case errno == syscall.ENAMETOOLONG, errno == syscall.EINVAL:
		return ErrBadName
	case errno == syscall.ELOOP, errno == syscall.ENXIO, errno == syscall.ENODEV:
		return ErrNotRegular
	}
	return err
}
