// Package pintftp is a TFTP server made of github.com/pin/tftp, as boot servers
// in Go are: the peer of that name in comparisons.
package pintftp

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/pin/tftp/v3"
)

// Settings of the server. The block size is the largest, so that the client's
// is the one that counts; the library still keeps it to the interface's MTU.
const (
	blockSize = 65464
	timeout   = time.Second
	retries   = 10
)

// Serve serves the files below root, read only, until ctx ends.
func Serve(ctx context.Context, listen, root string) error {
	files, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer files.Close()
	addr, err := net.ResolveUDPAddr("udp", listen)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", listen, err)
	}
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s := tftp.NewServer(func(name string, to io.ReaderFrom) error {
		f, err := files.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			if transfer, ok := to.(tftp.OutgoingTransfer); ok {
				transfer.SetSize(info.Size())
			}
		}
		_, err = to.ReadFrom(f)
		return err
	}, nil)
	s.SetBlockSize(blockSize)
	s.SetTimeout(timeout)
	s.SetRetries(retries)

	served := make(chan error, 1)
	go func() { served <- s.Serve(conn) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		go s.Shutdown() // which would wait for running transfers: their clients are gone
		return nil
	}
}

// Version is that of the library.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == "github.com/pin/tftp/v3" {
			return m.Version
		}
	}
	return "unknown"
}
