package content

import (
	"bytes"
	"hash/fnv"
)

// Memory returns a File that has no file: what is made for one client. It is
// ready to be sent, never changes, and costs no descriptor. freed is called when
// the last reference is gone. data must stay as it is.
func Memory(path string, data []byte, freed func()) *File {
	h := fnv.New64a()
	h.Write(data) // it cannot fail
	f := &File{path: path, blind: true, freed: freed,
		// Device 0 has no files: what Identity says is no file's on disk.
		id: identity{ino: h.Sum64(), size: int64(len(data))}}
	if len(data) > 0 {
		f.mapping = data
	}
	f.memory = bytes.NewReader(data)
	f.refs.Store(1)
	return f
}

// OfMemory says whether an Identity is that of a Memory file.
func (id *Identity) OfMemory() bool { return id.Dev == 0 }
