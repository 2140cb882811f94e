package content

import "fmt"

// Identity is one state of one file, in a form that outlives the process.
type Identity struct {
	Dev, Ino  uint64
	Size      int64 // bytes
	Sec, Nsec int64 // of the last modification
}

// Identity returns what the file was when it was opened.
func (f *File) Identity() Identity {
	return Identity{Dev: f.id.dev, Ino: f.id.ino, Size: f.id.size, Sec: f.id.sec, Nsec: f.id.nsec}
}

// Reopen opens the file at path, a File's Path, for somebody who has read a part
// of it in an earlier life. It fails with ErrChanged if it is not what id says, and like Lookup.
func (r *Root) Reopen(path string, id Identity) (*File, error) {
	f, err := r.openFile(path)
	if err != nil {
		return nil, err
	}
	if f.Identity() != id {
		f.Release()
		return nil, fmt.Errorf("%q: %w", path, ErrChanged)
	}
	return f, nil
}
