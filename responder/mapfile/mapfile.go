// Package mapfile keeps memory in a file: the next process of the server finds it
// there, however the last one ended. The kernel has every store that a killed
// process made to a shared mapping; nothing is ever written on purpose.
//
// A process reads the last one's file, then makes one of its own beside it, fills
// it, and renames it over the old one: it may be killed at any moment. Nothing of
// this is for when the machine itself stops: the file's pages are not written in
// any order then, which is what BootID is for.
package mapfile

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrInUse says that a living process has the file.
var ErrInUse = errors.New("is in use by another process")

// File is a file of this process.
type File struct {
	path    string
	file    *os.File
	mapping []byte
}

// Create makes a file of so many bytes, all 0, beside path, where Publish puts it.
// All of its memory is allocated: stores to the mapping cannot fail later, unless
// somebody truncates the file.
func Create(path string, size int64) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f := &File{path: path}
	if err := os.Remove(f.unpublished()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var err error
	if f.file, err = os.OpenFile(f.unpublished(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	if err := f.mapAll(size); err != nil {
		f.file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func (f *File) unpublished() string { return f.path + ".new" }

func (f *File) mapAll(size int64) (err error) {
	fd := int(f.file.Fd())
	if err := lock(f.file); err != nil {
		return err
	}
	if err := unix.Fallocate(fd, 0, 0, size); err != nil {
		return fmt.Errorf("allocate %d bytes: %w", size, err)
	}
	if f.mapping, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map: %w", err)
	}
	return nil
}

// Memory is the content, until Close. It begins at a page.
func (f *File) Memory() []byte { return f.mapping }

// Publish puts the file in the place of a former process's.
func (f *File) Publish() error { return os.Rename(f.unpublished(), f.path) }

// Close ends the use of the file, which stays. Its memory must not be touched any more.
func (f *File) Close() error {
	if f.mapping != nil {
		if err := unix.Munmap(f.mapping); err != nil {
			return fmt.Errorf("unmap: %w", err)
		}
		f.mapping = nil
	}
	return f.file.Close()
}

// Read returns the content of a former process's file, cut behind most+1 bytes.
// fs.ErrNotExist says that there is none, ErrInUse that it is not a former process's.
func Read(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := lock(f); err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return io.ReadAll(io.LimitReader(f, most+1))
}

// Aligned returns a copy of data that begins at an 8-byte word, as a mapping does.
func Aligned(data []byte) []byte {
	words := make([]uint64, (len(data)+7)/8)
	m := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 8*len(words))
	return m[:copy(m, data)]
}

// lock makes the file ours until it is closed.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return ErrInUse
	}
	return err
}

// BootID returns the kernel's, which is another after each start of the machine.
func BootID() (id [16]byte, err error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id, err
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || len(raw) != len(id) {
		return id, fmt.Errorf("boot id %q is none", text)
	}
	return [16]byte(raw), nil
}
