package tftpload

import (
	"context"
	"fmt"

	"github.com/xdpxe/xdpxe/bench/arrival"
)

// Fetch makes one transfer as cfg has it and returns the file, so that a load can
// be held against it.
func Fetch(ctx context.Context, cfg Config) ([]byte, error) {
	const most = 4 << 30
	file := []byte{} // an empty file is not an unknown one
	one := cfg
	one.Clients, one.Loops, one.Threads, one.Probe, one.Spans, one.ServerPID, one.Progress = 1, 1, 1, false, 0, 0, nil
	one.In, one.Out, one.Slow, one.Arrival = Impairment{}, Impairment{}, Slow{}, arrival.Pattern{}
	one.File = nil
	one.take = func(_ int64, b []byte) bool {
		file = append(file, b...)
		return len(file) <= most
	}
	r, err := Run(ctx, one)
	if err != nil {
		return nil, err
	}
	for reason := range r.Failures {
		return nil, fmt.Errorf("%w %s from %v: %s", ErrFetch, cfg.Transfer.Request.Name, cfg.Server, reason)
	}
	return file, nil
}
