package resume

import (
	"fmt"
	"sync"

	"github.com/xdpxe/xdpxe/responder/mapfile"
)

// maxFiles bounds the files that are served at one time and can be gone on with.
const maxFiles = 1024

// State is the file of this process. Its methods are safe for concurrent use.
type State struct {
	file    *mapfile.File
	entries []fileEntry
	records []Record

	// What is in the mapping is never read, so that nobody who writes to it confuses us.
	mu        sync.Mutex
	index     map[File]uint32
	held      []holding // by entry
	freeFiles []uint32
	fileOf    []uint32 // by record
	free      []uint32 // records
}

// holding is what an entry is for.
type holding struct {
	file File
	refs int
}

// Create makes a file for so many transfers beside path, where Publish puts it.
// All of its memory is allocated: stores to the mapping cannot fail later, unless
// somebody truncates the file.
func Create(path string, transfers int) (*State, error) {
	boot, err := mapfile.BootID()
	if err != nil {
		return nil, fmt.Errorf("transfer state: %w", err)
	}
	files := uint32(min(transfers, maxFiles))
	s := &State{index: map[File]uint32{}, held: make([]holding, files), fileOf: make([]uint32, transfers)}
	size := length(files, uint32(transfers))
	if size > maxLength {
		return nil, fmt.Errorf("transfer state: %d transfers are too many", transfers)
	}
	if s.file, err = mapfile.Create(path, size); err != nil {
		return nil, fmt.Errorf("transfer state: %w", err)
	}
	h, entries, records := tables(s.file.Memory(), files, uint32(transfers))
	*h = header{
		magic: magic, version: Version, headerSize: uint32(headerSize), fileSize: uint32(entrySize), recordSize: uint32(recordSize),
		files: files, records: uint32(transfers), boot: boot,
	}
	h.sum = h.checksum()
	s.entries, s.records = entries, records
	for i := files; i > 0; i-- {
		s.freeFiles = append(s.freeFiles, i-1)
	}
	s.free = make([]uint32, transfers)
	for i := range s.free {
		s.free[i] = uint32(transfers - 1 - i)
	}
	return s, nil
}

// Publish puts the file in the place of a former process's.
func (s *State) Publish() error {
	if err := s.file.Publish(); err != nil {
		return fmt.Errorf("transfer state: %w", err)
	}
	return nil
}

// Close ends the use of the file, which stays. Records must not be used any more.
func (s *State) Close() error {
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("transfer state: %w", err)
	}
	return nil
}

// Add keeps a transfer of a file. nil: there is no room, or the path is too long,
// and the transfer will not outlive the process.
func (s *State) Add(t *Transfer, f File) *Record {
	if len(f.Path) > maxPath {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		return nil
	}
	file, ok := s.enter(f)
	if !ok {
		return nil
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.fileOf[i] = file
	r := &s.records[i]
	r.fixed = t.fields(uint64(file))
	r.base.Store(t.Base)
	r.live.Store(r.fixed.checksum())
	return r
}

// SetBase says which is the first block that is not acknowledged. Only the
// worker that owns the transfer may call it.
func (r *Record) SetBase(n uint64) { r.base.Store(n) }

// Remove forgets a transfer.
func (s *State) Remove(r *Record) {
	r.live.Store(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.place(r)
	s.leave(s.fileOf[i])
	s.free = append(s.free, i)
}

// enter returns the entry of a file.
func (s *State) enter(f File) (uint32, bool) {
	i, ok := s.index[f]
	if !ok {
		if len(s.freeFiles) == 0 {
			return 0, false
		}
		i = s.freeFiles[len(s.freeFiles)-1]
		s.freeFiles = s.freeFiles[:len(s.freeFiles)-1]
		s.index[f] = i
		e := &s.entries[i]
		*e = fileEntry{dev: f.Dev, ino: f.Ino, size: f.Size, sec: f.Sec, nsec: f.Nsec, length: uint64(len(f.Path))}
		copy(e.path[:], f.Path)
		// No record refers to it yet, so it need not be stored in one go.
		e.live = e.checksum()
	}
	s.held[i].file = f
	s.held[i].refs++
	return i, true
}

// leave gives one reference to an entry back.
func (s *State) leave(i uint32) {
	h := &s.held[i]
	if h.refs--; h.refs > 0 {
		return
	}
	delete(s.index, h.file)
	h.file = File{}
	s.entries[i].live = 0
	s.freeFiles = append(s.freeFiles, i)
}
