package legacy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/xdpxe/xdpxe/responder/content"
)

// Uploads says what may be written.
type Uploads struct {
	Dir       string // where files go; it must exist
	MaxSize   int64  // bytes of a file
	MaxFiles  int    // in Dir and below
	MaxTotal  int64  // bytes in Dir and below
	Overwrite bool   // a file that is there is replaced
}

// What an upload can fail with besides content.ErrNotFound (no such directory),
// content.ErrRefused and trouble of the machine's.
var (
	ErrExists = errors.New("file already exists")
	ErrLimit  = errors.New("beyond the limits of uploads")
)

// ErrFolder is what New fails with: the folder cannot be used.
var ErrFolder = errors.New("folder of uploads")

// partPrefix begins the names of files that are not whole yet.
const partPrefix = ".xdpxe-upload-"

// folder is where uploads go. It is safe for concurrent use.
type folder struct {
	Uploads
	root *os.Root

	mu       sync.Mutex      // held while files come and go
	running  map[string]bool // paths that are being written
	serial   int
	stored   atomic.Int64 // bytes of whole files, when they were last counted
	underway atomic.Int64 // bytes of the others
}

// openFolder opens the folder and removes what an earlier process left half done.
func openFolder(u Uploads) (*folder, error) {
	root, err := os.OpenRoot(u.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	f := &folder{Uploads: u, root: root, running: map[string]bool{}}
	if err := errors.Join(f.cleanUp(), f.try()); err != nil {
		root.Close()
		return nil, fmt.Errorf("%w %s: %w", ErrFolder, u.Dir, err)
	}
	return f, nil
}

func (f *folder) cleanUp() error {
	dir, err := f.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, partPrefix) {
			if err := f.root.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// try finds out whether files can be made.
func (f *folder) try() error {
	file, err := f.root.OpenFile(partPrefix+"0", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), f.root.Remove(partPrefix+"0"))
}

// upload is a file that is being written.
type upload struct {
	folder *folder
	path   string // that it will have
	part   string // that it has
	file   *os.File
	size   int64
	err    error // the first of Write: pin/tftp may write again after one
}

// create begins an upload. announced is its size, if the client has told it, else -1.
// The caller must call commit or discard.
func (f *folder) create(name string, announced int64) (*upload, error) {
	p, err := content.Clean(name)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(path.Base(p), partPrefix) {
		return nil, fmt.Errorf("%q: reserved name: %w", p, content.ErrBadName)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running[p] {
		return nil, fmt.Errorf("%q is being written: %w", p, ErrExists)
	}
	replaces, err := f.target(p)
	if err != nil {
		return nil, err
	}
	if err := f.room(announced, replaces); err != nil {
		return nil, fmt.Errorf("%q: %w", p, err)
	}
	f.serial++
	u := &upload{folder: f, path: p, part: fmt.Sprintf("%s%d", partPrefix, f.serial)}
	if u.file, err = f.root.OpenFile(u.part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	f.running[p] = true
	return u, nil
}

// target says whether there is a file of that name that may be replaced.
func (f *folder) target(p string) (bool, error) {
	if dir, err := f.root.Stat(path.Dir(p)); err != nil || !dir.IsDir() {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("directory of %q: %w", p, content.ErrNotFound)
		}
		return false, fmt.Errorf("directory of %q: %w", p, content.Classify(err))
	}
	switch st, err := f.root.Lstat(p); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("%q: %w", p, content.Classify(err))
	case !st.Mode().IsRegular():
		return false, fmt.Errorf("%q is no regular file: %w", p, content.ErrNotRegular)
	case !f.Overwrite:
		return false, fmt.Errorf("%q: %w", p, ErrExists)
	}
	return true, nil
}

// room counts what is there and says whether one more file may come.
func (f *folder) room(announced int64, replaces bool) error {
	if announced > f.MaxSize {
		return fmt.Errorf("%d bytes are more than max-size: %w", announced, ErrLimit)
	}
	files, stored := len(f.running), int64(0)
	err := fs.WalkDir(f.root.FS(), ".", func(_ string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() || strings.HasPrefix(d.Name(), partPrefix):
			return nil
		}
		if files++; files > f.MaxFiles {
			return fs.SkipAll
		}
		st, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			files-- // taken away meanwhile
			return nil
		} else if err != nil {
			return err
		}
		stored += st.Size()
		return nil
	})
	if err != nil {
		return fmt.Errorf("count files: %w", err)
	}
	if !replaces {
		files++
	}
	f.stored.Store(stored)
	switch {
	case files > f.MaxFiles:
		return fmt.Errorf("max-files: %w", ErrLimit)
	case stored+f.underway.Load()+max(announced, 0) > f.MaxTotal:
		return fmt.Errorf("max-total: %w", ErrLimit)
	}
	return nil
}

// Write adds to the file.
func (u *upload) Write(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n := int64(len(p))
	f := u.folder
	if u.size+n > f.MaxSize {
		u.err = fmt.Errorf("%q: max-size: %w", u.path, ErrLimit)
		return 0, u.err
	}
	if f.stored.Load()+f.underway.Add(n) > f.MaxTotal {
		f.underway.Add(-n)
		u.err = fmt.Errorf("%q: max-total: %w", u.path, ErrLimit)
		return 0, u.err
	}
	u.size += n // also what a full disk does not take: the upload ends
	done, err := u.file.Write(p)
	u.err = err
	return done, err
}

// commit gives the file its name. If it fails, the file is gone.
func (u *upload) commit() error {
	f := u.folder
	err := errors.Join(u.err, u.file.Sync(), u.file.Close())
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		if f.Overwrite {
			err = f.root.Rename(u.part, u.path)
		} else if err = f.root.Link(u.part, u.path); errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%q: %w", u.path, ErrExists) // it has come meanwhile
		}
	}
	if err == nil {
		f.stored.Add(u.size)
	}
	u.leave()
	return err
}

// discard removes the file.
func (u *upload) discard() {
	u.file.Close()
	u.folder.mu.Lock()
	defer u.folder.mu.Unlock()
	u.leave()
}

// leave removes the file's first name. folder.mu is held.
func (u *upload) leave() {
	// After a rename it is gone; what else stays is removed at the next start.
	_ = u.folder.root.Remove(u.part)
	u.folder.underway.Add(-u.size)
	delete(u.folder.running, u.path)
}

func (f *folder) close() { f.root.Close() }
