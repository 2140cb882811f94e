package main

import (
	"fmt"
	"time"

	"github.com/xdpxe/xdpxe/bench/procstat"
	"github.com/xdpxe/xdpxe/bench/result"
)

// serverMeter measures what a server takes of the processors during a load.
type serverMeter struct {
	pid    int // 0: nothing is measured
	before procstat.Usage
}

func startMeter(pid int) (m serverMeter, err error) {
	m.pid = pid
	if pid != 0 {
		m.before, err = procstat.Read(pid)
	}
	if err != nil {
		return m, fmt.Errorf("the server's CPU time: %w", err)
	}
	return m, nil
}

// stop puts into the row what the server has taken since the start, as a share
// of one processor for as long as requests were sent. What it did before the
// first and after the last of them is in it, too: it is rather too much.
func (m serverMeter) stop(row *result.Row, sending time.Duration) error {
	if m.pid == 0 || sending <= 0 {
		return nil
	}
	now, err := procstat.Read(m.pid)
	if err != nil {
		return fmt.Errorf("the server's CPU time: %w", err)
	}
	row.Add("server CPU", result.Share, now.Sub(m.before).CPU.Seconds()/sending.Seconds())
	return nil
}
