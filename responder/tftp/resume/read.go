package resume

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/xdpxe/xdpxe/responder/mapfile"
)

// maxLength bounds what is read: a million transfers.
const maxLength = 256 << 20

// Saved is a transfer of a former process.
type Saved struct {
	Transfer
	File File
}

// Read returns the transfers of a former process, and how many records were not
// whole and are left out. An error says why there is nothing to go on with:
// fs.ErrNotExist that there is no file, mapfile.ErrInUse that it is not a former process's.
func Read(path string) (all []Saved, torn int, err error) {
	data, err := mapfile.Read(path, maxLength)
	if err != nil {
		return nil, 0, fmt.Errorf("transfer state: %w", err)
	}
	boot, err := mapfile.BootID()
	if err != nil {
		return nil, 0, fmt.Errorf("transfer state: %w", err)
	}
	if all, torn, err = parse(data, boot); err != nil {
		return nil, 0, fmt.Errorf("transfer state %s %w", path, err)
	}
	return all, torn, nil
}

// parse reads the whole of a file.
func parse(data []byte, boot [16]byte) (all []Saved, torn int, err error) {
	if len(data) < headerSize {
		return nil, 0, fmt.Errorf("is truncated: %d bytes are less than its header", len(data))
	}
	data = mapfile.Aligned(data)
	h, _, _ := tables(data, 0, 0)
	switch {
	case h.magic != magic:
		return nil, 0, errors.New("is none of xdpxe's")
	case h.version > Version:
		return nil, 0, fmt.Errorf("was written by a newer xdpxe (layout %d, this one has %d)", h.version, Version)
	case h.version < Version:
		return nil, 0, fmt.Errorf("was written by an older xdpxe (layout %d, this one has %d)", h.version, Version)
	case int(h.headerSize) != headerSize || int(h.fileSize) != entrySize || int(h.recordSize) != recordSize || h.sum != h.checksum():
		return nil, 0, errors.New("has a damaged header")
	case h.boot != boot:
		return nil, 0, errors.New("is from before the machine was started")
	case int64(len(data)) != length(h.files, h.records):
		return nil, 0, fmt.Errorf("is truncated: it has %d bytes and should have %d", len(data), length(h.files, h.records))
	}
	_, entries, records := tables(data, h.files, h.records)
	for i := range records {
		r := &records[i]
		live := r.live.Load()
		if live == 0 {
			continue
		}
		s, ok := r.saved(live, entries)
		if !ok {
			torn++
			continue
		}
		all = append(all, s)
	}
	return all, torn, nil
}

// saved reads a record that is in use.
func (r *Record) saved(live uint64, entries []fileEntry) (s Saved, ok bool) {
	if live != r.fixed.checksum() || r.file >= uint64(len(entries)) {
		return s, false
	}
	e := &entries[r.file]
	if e.live == 0 || e.live != e.checksum() || e.length > maxPath {
		return s, false
	}
	path := e.path[:e.length]
	if len(path) == 0 || bytes.IndexByte(path, 0) >= 0 {
		return s, false
	}
	s.File = File{Path: string(path), Dev: e.dev, Ino: e.ino, Size: e.size, Sec: e.sec, Nsec: e.nsec}
	s.Transfer = r.fixed.transfer(r.base.Load())
	return s, s.Transfer.valid(&s.File)
}
