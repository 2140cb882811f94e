package lab

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestTranscriptStripsControlSequences(t *testing.T) {
	var f escapeFilter
	var got []byte
	for _, piece := range []string{"\x1b[2J\x1b[01;01", "H>>Start\x1b", "[0m PXE\r\n\x1bcover\b IPv4\x00."} {
		got = f.strip(got, []byte(piece))
	}
	if want := ">>Start PXE\nover IPv4."; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTranscriptWait(t *testing.T) {
	var lines []string
	tr := newTranscript(func(_ time.Time, line string) { lines = append(lines, line) })
	tr.Write([]byte("ROM iPXE\nchain\niP"))
	found := make(chan error, 1)
	go func() {
		_, err := tr.WaitAfter(t.Context(), "chain", "iPXE")
		found <- err
	}()
	tr.Write([]byte("XE again\n"))
	if err := <-found; err != nil {
		t.Error(err)
	}
	first, err := tr.Wait(t.Context(), "iPXE")
	if err != nil {
		t.Error(err)
	}
	second, err := tr.WaitAfter(t.Context(), "chain", "iPXE")
	if err != nil || !second.After(first) {
		t.Errorf("second match at %v, first at %v: %v", second, first, err)
	}
	if len(lines) != 3 || lines[2] != "iPXE again" {
		t.Errorf("lines %q", lines)
	}
}

func TestTranscriptWaitGivesUp(t *testing.T) {
	tr := newTranscript(nil)
	tr.Write([]byte("said this"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tr.Wait(ctx, "that"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	tr.end()
	if _, err := tr.Wait(t.Context(), "that"); !errors.Is(err, ErrEnded) {
		t.Errorf("ended: %v", err)
	}
	if _, err := tr.Wait(ctx, "this"); err != nil {
		t.Errorf("what has come is found whatever else: %v", err)
	}
}
