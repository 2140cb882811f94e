package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Why a file is not opened. Each is wrapped with the file and the way out.
var (
	ErrTorn    = errors.New("the file is torn")
	ErrForeign = errors.New("not a store of xdpxe's")
	ErrNewer   = errors.New("written by a newer xdpxe")
	ErrLocked  = errors.New("in use")
)

// maxFile bounds the file. 100,000 deployments with all that is known of their
// machines are a tenth of it.
const maxFile = 1 << 30

// migration brings the bucket of a file from one format to the next. What it
// puts and deletes it counts in the tally.
type migration func(*bbolt.Bucket, *tally) error

// migrations[i] is from format i+1 to i+2. What this xdpxe writes is the last
// one's. Formats so far: 1, see record.go.
var migrations = []migration{}

// openFile returns the store's file, locked, walked and migrated. A missing one is created.
func openFile(ctx context.Context, path string, steps []migration) (*bbolt.DB, error) {
	newest := 1 + len(steps)
	f, err := openLocked(ctx, path, newest)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	version, err := verify(f, info.Size(), newest)
	if err != nil {
		f.Close()
		return nil, refuse(path, newest, err)
	}
	db, err := openBbolt(path, f)
	if err != nil {
		return nil, refuse(path, newest, err)
	}
	if err := migrate(db, version, steps); err != nil {
		db.Close()
		return nil, fmt.Errorf("store %s: from format %d to %d: %w; the file is as it was", path, version, newest, err)
	}
	return db, nil
}

// refuse says why the file is not opened, and what to do.
func refuse(path string, newest int, err error) error {
	var newer newerError
	var foreign foreignError
	var sys *fs.PathError
	switch {
	case errors.As(err, &newer):
		return fmt.Errorf("store %s: %w (%v, this one knows %d): start the newer xdpxe, or give this one another file", path, ErrNewer, newer, newest)
	case errors.As(err, &foreign):
		return fmt.Errorf("store %s: %w, but %v: nothing was changed in it; give xdpxe another file", path, ErrForeign, foreign)
	case errors.As(err, &sys): // the disk, not the file
		return fmt.Errorf("store %s: %w", path, err)
	default:
		return fmt.Errorf("store %s: %w: %v: put back a copy of it, or begin with an empty one (what was deployed is forgotten): mv %[1]s %[1]s.torn", path, ErrTorn, err)
	}
}

// openBbolt hands an open, locked file to bbolt, which closes it if it fails.
func openBbolt(path string, f *os.File) (db *bbolt.DB, err error) {
	// verify leaves nothing for these to catch, unless the file is changed under us.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			f.Close()
			db, err = nil, fmt.Errorf("%v", r)
		}
	}()
	return bbolt.Open(path, 0o600, &bbolt.Options{
		OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return f, nil },
		Timeout:      time.Second, // the lock is had: it is the open file's, not the process's
		FreelistType: bbolt.FreelistMapType,
		MaxSize:      maxFile,
		NoStatistics: true,
	})
}

// openLocked opens the file, which it creates if there is none, and locks it.
func openLocked(ctx context.Context, path string, newest int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			if err := create(ctx, path, newest); err != nil {
				return nil, err
			}
			continue
		}
		if errors.Is(err, unix.EISDIR) {
			return nil, refuse(path, newest, foreignError("a directory"))
		}
		if err != nil {
			return nil, fmt.Errorf("store: %w; xdpxe must be able to read and write the file", err)
		}
		if err := lock(ctx, f); err != nil {
			f.Close()
			return nil, err
		}
		opened, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("store: %w", err)
		}
		if !opened.Mode().IsRegular() {
			f.Close()
			return nil, refuse(path, newest, foreignError("no file: "+opened.Mode().String()))
		}
		// Another file may have been put there while we waited for this one's lock.
		if now, err := os.Stat(path); err == nil && os.SameFile(opened, now) {
			return f, nil
		}
		f.Close()
	}
}

// create makes a store without items: under another name, so that a crash leaves
// no half of one, and one creator at a time, by a lock on the directory.
func create(ctx context.Context, path string, newest int) error {
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("store %s: its directory: %w", path, err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("store %s: its directory: %w", path, err)
	}
	defer d.Close()
	if err := lock(ctx, d); err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil // somebody was quicker
	}
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store %s: %w", path, err)
	}
	if err := fill(temp, newest); err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("store %s: its directory: %w", path, err)
	}
	return nil
}

func fill(path string, version int) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, NoStatistics: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte(bucketName))
		if err != nil {
			return err
		}
		if err := b.Put([]byte(formatKey), []byte(formatRecord(version))); err != nil {
			return err
		}
		return b.Put([]byte(tallyKey), tally{}.record())
	})
	return errors.Join(err, db.Close())
}

// migrate brings the file to the newest format in one transaction. A copy of
// it as it was, FILE.format-N, is the way back to the older xdpxe.
func migrate(db *bbolt.DB, version int, steps []migration) error {
	newest := 1 + len(steps)
	if version == newest {
		return nil
	}
	if err := keep(db, fmt.Sprintf("%s.format-%d", db.Path(), version)); err != nil {
		return fmt.Errorf("copy of the old file: %w", err)
	}
	return db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketName))
		t, err := tallyOf(b)
		if err != nil {
			return err
		}
		for _, step := range steps[version-1:] {
			if err := step(b, &t); err != nil {
				return err
			}
		}
		if err := b.Put([]byte(tallyKey), t.record()); err != nil {
			return err
		}
		return b.Put([]byte(formatKey), []byte(formatRecord(newest)))
	})
}

func keep(db *bbolt.DB, path string) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(f)
		return err
	})
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
