package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// ErrEnded is wrapped by Transcript.Wait when the text ended without a match.
var ErrEnded = errors.New("output ended")

// Transcript is what a process wrote or a machine showed on its console so
// far, without terminal control sequences, and when each piece of it came. It
// is safe for use from several goroutines.
type Transcript struct {
	mu      sync.Mutex
	text    []byte
	pieces  []piece
	escape  escapeFilter
	ended   bool
	changed chan struct{} // closed and replaced at every change
	lines   func(at time.Time, line string)
	shown   int // text[:shown] has gone to lines
}

type piece struct {
	end int // the offset in text after the piece
	at  time.Time
}

// newTranscript makes an empty one. lines, if not nil, gets every complete line as it comes.
func newTranscript(lines func(at time.Time, line string)) *Transcript {
	return &Transcript{changed: make(chan struct{}), lines: lines}
}

// Write appends; it never fails.
func (t *Transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.text = t.escape.strip(t.text, p)
	t.pieces = append(t.pieces, piece{len(t.text), now})
	t.showLines(now)
	t.wake()
	return len(p), nil
}

func (t *Transcript) showLines(now time.Time) {
	for t.lines != nil {
		n := bytes.IndexByte(t.text[t.shown:], '\n')
		if n < 0 {
			return
		}
		if line := strings.TrimSpace(string(t.text[t.shown : t.shown+n])); line != "" {
			t.lines(now, line)
		}
		t.shown += n + 1
	}
}

// end says that no more text will come.
func (t *Transcript) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.wake()
}

func (t *Transcript) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// String returns the text so far.
func (t *Transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// Wait returns when pattern first came, waiting for it if need be.
func (t *Transcript) Wait(ctx context.Context, pattern string) (time.Time, error) {
	return t.WaitAfter(ctx, "", pattern)
}

// WaitAfter is Wait for the first pattern behind the first occurrence of mark.
func (t *Transcript) WaitAfter(ctx context.Context, mark, pattern string) (time.Time, error) {
	for {
		t.mu.Lock()
		at, ok := t.find(mark, pattern)
		ended, changed := t.ended, t.changed
		t.mu.Unlock()
		if ok {
			return at, nil
		}
		if ended {
			return time.Time{}, fmt.Errorf("lab: waiting for %q: %w; it ends with:\n%s", pattern, ErrEnded, t.tail())
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("lab: waiting for %q: %w; so far it ends with:\n%s", pattern, context.Cause(ctx), t.tail())
		}
	}
}

// find is called with the lock held.
func (t *Transcript) find(mark, pattern string) (time.Time, bool) {
	from := bytes.Index(t.text, []byte(mark))
	if from < 0 {
		return time.Time{}, false
	}
	from += len(mark)
	n := bytes.Index(t.text[from:], []byte(pattern))
	if n < 0 {
		return time.Time{}, false
	}
	last := from + n + len(pattern)
	for _, p := range t.pieces {
		if p.end >= last {
			return p.at, true
		}
	}
	return time.Time{}, false
}

// tail is the last part of the text, for error messages.
func (t *Transcript) tail() string {
	const most = 2000
	text := t.String()
	return text[max(0, len(text)-most):]
}

// escapeFilter drops the control sequences of ECMA-48 (ESC [ parameters
// final), which may be cut anywhere between two writes, and the carriage
// returns, NULs and backspaces that consoles send.
type escapeFilter struct{ state escapeState }

type escapeState uint8

const (
	plain escapeState = iota
	afterESC
	inCSI
)

func (f *escapeFilter) strip(dst, src []byte) []byte {
	for _, c := range src {
		switch {
		case f.state == afterESC && c == '[':
			f.state = inCSI
		case f.state == afterESC:
			f.state = plain // a two-byte sequence
		case f.state == inCSI:
			if c >= 0x40 && c <= 0x7e {
				f.state = plain
			}
		case c == 0x1b:
			f.state = afterESC
		case c == '\r' || c == 0 || c == '\b':
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
