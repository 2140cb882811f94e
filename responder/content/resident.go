package content

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// What is known of the page cache is known for chunks of a file. A chunk counts
// with what follows it, so that whoever sends at most ChunkReach bytes from a
// place within a chunk needs to ask about that one only.
const (
	ChunkSize  = 256 << 10
	ChunkReach = 64 << 10
)

// ErrChanged is what Load says of a file that has become shorter than it was, and
// Reopen of one that is another.
var ErrChanged = errors.New("file changed")

// Distance between the bytes that Cached looks at. The kernel takes pages away
// in the order in which they came, so a chunk is seldom missing in dots.
const cachedStep = 16 << 10

// chunkMark is what the users of a File note about a chunk: a time in
// nanoseconds that is theirs to choose, and whether somebody looks after it now.
type chunkMark struct{ v atomic.Int64 }

const chunkBusy = 1 // in the lowest bit of a mark

// Chunks returns the number of chunks. A chunk's number is its offset divided by ChunkSize.
func (f *File) Chunks() int { return len(f.chunks) }

// LoadedAt returns when a chunk was last known to be in memory, as SetLoaded was
// told (0: never), and whether it was claimed since.
func (f *File) LoadedAt(chunk int) (at int64, claimed bool) {
	v := f.chunks[chunk].v.Load()
	return v &^ chunkBusy, v&chunkBusy != 0
}

// SetLoaded notes that a chunk was in memory at a time (0: it is not), and ends a claim.
func (f *File) SetLoaded(chunk int, at int64) { f.chunks[chunk].v.Store(at &^ chunkBusy) }

// Claim marks a chunk as being looked after until SetLoaded, and says whether it was not before.
func (f *File) Claim(chunk int) bool { return f.chunks[chunk].v.Or(chunkBusy)&chunkBusy == 0 }

// extent returns where a chunk begins and what counts to it.
func (f *File) extent(chunk int) (off, n int64) {
	off = int64(chunk) * ChunkSize
	return off, min(ChunkSize+ChunkReach, f.id.size-off)
}

// Cached says whether a chunk is in the page cache, without waiting for the disk
// (of a page that is missing, the kernel begins the read). mincore would be
// quicker, but lies to those who may not write to the file. Where the file system
// cannot say, the answer is no.
func (f *File) Cached(chunk int) bool {
	off, n := f.extent(chunk)
	var b [1]byte
	for at := off; at < off+n; at += cachedStep {
		if !f.ReadCached(b[:], at) {
			return false
		}
	}
	return f.ReadCached(b[:], off+n-1)
}

// ReadCached fills p from the page cache, without waiting for the disk, or
// reports false.
func (f *File) ReadCached(p []byte, off int64) bool {
	if f.blind {
		return false
	}
	n, err := unix.Preadv2(f.fd, [][]byte{p}, off, unix.RWF_NOWAIT)
	return err == nil && n == len(p)
}

// Blind says that the file system cannot read without waiting (tmpfs, which never
// waits, and NFS): Cached and ReadCached always say no.
func (f *File) Blind() bool { return f.blind }

// MissedAt returns when something of the file was last found not to be in memory,
// as SetMissed was told; 0: never.
func (f *File) MissedAt() int64 { return f.missed.Load() }

// SetMissed notes that something of the file was not in memory.
func (f *File) SetMissed(at int64) { f.missed.Store(at) }

// Load reads a chunk into the page cache, waiting for the disk, and maps it. buf
// is scratch space. It returns ErrChanged if the file ends before the chunk does.
func (f *File) Load(chunk int, buf []byte) error {
	off, n := f.extent(chunk)
	for end := off + n; off < end; {
		// A plain read: of a bad disk it says so, where the mapping would raise SIGBUS.
		got, err := f.file.ReadAt(buf[:min(end-off, int64(len(buf)))], off)
		off += int64(got)
		switch {
		case errors.Is(err, io.EOF) && off < end:
			return fmt.Errorf("%q: %w", f.path, ErrChanged)
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("read %q: %w", f.path, err)
		}
	}
	f.MapIn(chunk)
	return nil
}

// MapIn enters the pages of a chunk that is in memory into the page table, so
// that the kernel takes no fault for them when it copies from the mapping.
func (f *File) MapIn(chunk int) {
	off, n := f.extent(chunk)
	// It saves faults and no more: older kernels do not have it (5.14), and of
	// a file that was truncated it says EFAULT, as sendmsg will.
	_ = unix.Madvise(f.mapping[off:off+n], unix.MADV_POPULATE_READ)
}
