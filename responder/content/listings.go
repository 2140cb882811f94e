package content

import (
	"encoding/binary"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unicode"

	"golang.org/x/sys/unix"
)

// Bounds of the cache of listings. What does not fit is read each time.
const (
	maxListings = 1024    // directories, each with an inotify watch
	maxListed   = 1 << 17 // entries of all of them
)

// watched are the events after which a listing is another one. Directories that
// are replaced or mounted over are found out by their identity.
const watched = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR

// listings remembers what directories hold, by name without letter case, so that
// a name in another case than on disk, or a name that is not there at all, costs
// no reading of directories the second time.
//
// A listing counts while the directory at its path is the same one with the same
// time stamps, and inotify has said nothing of it. The kernel queues an event
// before the call that caused it returns, and the queue is emptied before each
// use: a change made before a request is seen by it. The time stamps alone would
// miss changes within one tick of the clock; inotify alone would miss file
// systems mounted over a directory, and changes that others make on a network's.
type listings struct {
	mu      sync.Mutex
	inotify int // -1: there is none, nothing is remembered
	byID    map[dirID]*listing
	byWatch map[int32]*listing
	listed  int // entries of all listings
	events  [1 << 14]byte
}

type dirID struct{ dev, ino uint64 }

// dirState is what tells one state of a directory from another.
type dirState struct {
	id           dirID
	mtime, ctime syscall.Timespec
}

func stateOf(info os.FileInfo) (dirState, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return dirState{}, false
	}
	return dirState{id: dirID{st.Dev, st.Ino}, mtime: st.Mtim, ctime: st.Ctim}, true
}

// listing is one directory's entries.
type listing struct {
	watch   int32
	state   dirState
	filling bool                // somebody reads the directory
	touched bool                // changed since that began
	names   map[string][]string // by folded name; nil: not known
	count   int
}

func newListings() *listings {
	l := &listings{byID: map[dirID]*listing{}, byWatch: map[int32]*listing{}}
	var err error
	if l.inotify, err = unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC); err != nil {
		l.inotify = -1
	}
	return l
}

func (l *listings) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inotify >= 0 {
		unix.Close(l.inotify)
	}
	l.inotify = -1
	clear(l.byID)
	clear(l.byWatch)
}

// find returns the entries of a directory that equal name but for case. ok is
// false if they are not known. now is what the directory is at present.
func (l *listings) find(now dirState, name string) (found []string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drain()
	d := l.byID[now.id]
	if d == nil || d.names == nil {
		return nil, false
	}
	if d.state != now {
		l.empty(d)
		return nil, false
	}
	return slices.Clone(d.names[foldName(name)]), true
}

// begin watches a directory that is about to be read. It returns nil if it
// cannot be remembered; otherwise end must follow.
func (l *listings) begin(dir *os.File, now dirState) *listing {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inotify < 0 {
		return nil
	}
	d := l.byID[now.id]
	if d == nil {
		if len(l.byID) >= maxListings {
			return nil
		}
		watch, err := unix.InotifyAddWatch(l.inotify, "/proc/self/fd/"+strconv.Itoa(int(dir.Fd())), watched)
		if err != nil {
			return nil // the system's bound of watches, no /proc, not that kind of file system
		}
		if l.byWatch[int32(watch)] != nil {
			return nil // one directory under two identities
		}
		d = &listing{watch: int32(watch)}
		l.byID[now.id] = d
		l.byWatch[d.watch] = d
	}
	if d.filling {
		return nil
	}
	l.empty(d)
	d.state, d.filling, d.touched = now, true, false
	return d
}

// end takes what was read of the directory since begin.
func (l *listings) end(d *listing, entries []string, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.filling = false
	if !whole || l.inotify < 0 || l.listed+len(entries) > maxListed {
		return
	}
	l.drain()
	if d.touched {
		return
	}
	d.names = make(map[string][]string, len(entries))
	for _, n := range entries {
		key := foldName(n)
		d.names[key] = append(d.names[key], n)
	}
	d.count = len(entries)
	l.listed += d.count
}

// empty forgets a directory's entries and keeps its watch.
func (l *listings) empty(d *listing) {
	l.listed -= d.count
	d.names, d.count = nil, 0
}

// drain takes what inotify has to say.
func (l *listings) drain() {
	for l.inotify >= 0 {
		n, err := unix.Read(l.inotify, l.events[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return // nothing more
		}
		for p := l.events[:n]; len(p) >= unix.SizeofInotifyEvent; {
			watch := int32(binary.NativeEndian.Uint32(p))
			mask := binary.NativeEndian.Uint32(p[4:])
			p = p[unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(p[12:])):]
			l.event(watch, mask)
		}
	}
}

func (l *listings) event(watch int32, mask uint32) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		for _, d := range l.byWatch {
			l.empty(d)
			d.touched = true
		}
		return
	}
	d := l.byWatch[watch]
	if d == nil {
		return
	}
	l.empty(d)
	d.touched = true
	if mask&unix.IN_IGNORED != 0 { // the directory is gone, and its number may be another's soon
		delete(l.byWatch, watch)
		for id, other := range l.byID {
			if other == d {
				delete(l.byID, id)
			}
		}
	}
}

// foldName maps all names that strings.EqualFold holds for equal to the same one.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r < 'A' || r > 'Z' && r < 'a' || r > 'z') {
			return r
		}
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}
