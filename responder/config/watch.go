package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle lets an editor finish: it truncates and writes, or renames twice.
	settle = 100 * time.Millisecond
	// retry is the pause before a directory that has gone is looked for again.
	retry = time.Second
	// maxLinks bounds a chain of symbolic links, as the kernel does (path_resolution(7)).
	maxLinks = 40
)

// Watch calls changed after each change of a file's content or identity, until
// ctx ends: edited in place, replaced by rename, or behind a symbolic link that
// now points elsewhere (Kubernetes' ConfigMaps). A file that is gone is no
// change; that it is there again is one. Changes from the return of Watch on
// are seen, so watch first and load then. changed runs on one goroutine, which
// Watch starts and which ends with ctx.
func Watch(ctx context.Context, path string, changed func()) error {
	fsw, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	w := &watch{path: path, events: fsw, changed: changed}
	if err := w.arm(); err != nil {
		fsw.Close()
		return fmt.Errorf("watch %s: %w", path, err)
	}
	w.last, _ = stampOf(path)
	go w.run(ctx)
	return nil
}

type watch struct {
	path    string
	events  *fsnotify.Watcher
	changed func()
	last    stamp
}

// stamp tells one content of a file from the next.
type stamp struct {
	info os.FileInfo
	size int64
	time time.Time
}

func stampOf(path string) (stamp, bool) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return stamp{}, false
	}
	return stamp{info, info.Size(), info.ModTime()}, true
}

func (s stamp) same(t stamp) bool {
	return s.info != nil && os.SameFile(s.info, t.info) && s.size == t.size && s.time.Equal(t.time)
}

func (w *watch) run(ctx context.Context) {
	defer w.events.Close()
	// Started by the first event and not put off by the next: a directory in
	// which something always happens must not keep us waiting.
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-w.events.Events:
			if !ok {
				return
			}
		case _, ok := <-w.events.Errors: // the queue ran over: something has changed
			if !ok {
				return
			}
		case <-due:
			due = w.look()
			continue
		}
		if due == nil {
			due = time.After(settle)
		}
	}
}

// look calls changed if the file is another one. It returns when to look
// again without an event.
func (w *watch) look() <-chan time.Time {
	err := w.arm()
	if now, ok := stampOf(w.path); ok && !w.last.same(now) {
		w.last = now
		w.changed()
	}
	if err != nil {
		return time.After(retry)
	}
	return nil
}

// arm watches the directories of the file and of every link on the way to it:
// a watch on the file itself would end with the first rename. What is watched
// already stays so.
func (w *watch) arm() error {
	at := w.path
	for range maxLinks {
		if err := w.events.Add(filepath.Dir(at)); err != nil {
			return err
		}
		target, err := os.Readlink(at)
		if err != nil {
			return nil // not a link, or not there: the directory will tell
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(at), target)
		}
		at = target
	}
	return nil
}
