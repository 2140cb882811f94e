package content

import (
	"bytes"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// identity tells one state of one file from every other.
type identity struct {
	dev, ino        uint64
	size, sec, nsec int64
}

func identify(st *unix.Stat_t) identity {
	return identity{dev: st.Dev, ino: st.Ino, size: st.Size, sec: st.Mtim.Sec, nsec: st.Mtim.Nsec}
}

// File is an open boot file, shared by all who read the same identity. All
// methods are safe for concurrent use.
type File struct {
	root    *Root // nil of a Memory file, as file is
	path    string
	file    *os.File
	memory  *bytes.Reader
	freed   func()
	fd      int
	id      identity
	mapping []byte
	chunks  []chunkMark
	missed  atomic.Int64 // see MissedAt
	blind   bool         // the file system does not say what is in memory
	refs    atomic.Int32 // goes from and to 0 under root.mu only, if there is one
}

// share returns the File for what f holds: an open one, or a new one that takes f over.
func (r *Root) share(path string, f *os.File) (*File, error) {
	fd := int(f.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		f.Close()
		return nil, fmt.Errorf("stat %q: %w", path, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		f.Close()
		return nil, fmt.Errorf("%q: %w", path, ErrIsDir)
	default:
		f.Close()
		return nil, fmt.Errorf("%q: %w", path, ErrNotRegular)
	}
	id := identify(&st)

	r.mu.Lock()
	defer r.mu.Unlock()
	if shared := r.open[id]; shared != nil {
		shared.refs.Add(1)
		f.Close()
		return shared, nil
	}
	file := &File{root: r, path: path, file: f, fd: fd, id: id, chunks: make([]chunkMark, (id.size+ChunkSize-1)/ChunkSize)}
	file.refs.Store(1)
	if id.size > 0 {
		m, err := unix.Mmap(fd, 0, int(id.size), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("map %q (%d bytes): %w", path, id.size, err)
		}
		file.mapping = m
		// Reads are of whole chunks and say what they want; reading on from each of
		// hundreds of places would throw out of memory what was read for the others.
		_ = unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM)
		_, err = unix.Preadv2(fd, [][]byte{make([]byte, 1)}, 0, unix.RWF_NOWAIT)
		file.blind = err != nil && err != unix.EAGAIN
	}
	r.open[id] = file
	return file, nil
}

// Path returns the file's path relative to the root, as it is spelled on disk.
// Of several paths to one file it is the one that was opened first.
func (f *File) Path() string { return f.path }

// Size returns the size in bytes when the file was opened.
func (f *File) Size() int64 { return f.id.size }

// Mapping returns the whole file as mapped memory, nil if it is empty, valid
// until Release. It may be handed to the kernel; it must never be read here.
func (f *File) Mapping() []byte { return f.mapping }

// ReadAt reads from the file itself, as io.ReaderAt does.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if f.memory != nil {
		return f.memory.ReadAt(p, off)
	}
	return f.file.ReadAt(p, off)
}

// Changed reports whether the file was written to or truncated since it was
// opened. It costs one fstat; being renamed or unlinked is no change.
func (f *File) Changed() bool {
	if f.memory != nil {
		return false
	}
	var st unix.Stat_t
	return unix.Fstat(f.fd, &st) != nil || identify(&st) != f.id
}

// Retain adds a reference. The caller has one, and Releases both.
func (f *File) Retain() { f.refs.Add(1) }

// Release gives back one reference. The last one unmaps and closes the file.
func (f *File) Release() {
	if f.memory != nil {
		if f.refs.Add(-1) == 0 && f.freed != nil {
			f.freed()
		}
		return
	}
	f.root.mu.Lock()
	last := f.refs.Add(-1) == 0
	if last {
		delete(f.root.open, f.id)
	}
	f.root.mu.Unlock()
	if !last {
		return
	}
	if f.mapping != nil {
		// It fails only for a mapping that is not one.
		_ = unix.Munmap(f.mapping)
	}
	f.file.Close()
}
