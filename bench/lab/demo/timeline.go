package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// timeline prints what happens, as it happens, with the time since the start.
type timeline struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

func newTimeline(out io.Writer) *timeline {
	return &timeline{out: out, start: time.Now()}
}

func (t *timeline) say(who, format string, args ...any) {
	t.at(time.Now(), who, fmt.Sprintf(format, args...))
}

func (t *timeline) at(when time.Time, who, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%7.3f  %-9s %s\n", when.Sub(t.start).Seconds(), who, text)
}
