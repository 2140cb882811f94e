package peers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/bench/lab"
)

// awaitReady returns when all that the recipe calls ready is so, or with an
// error that shows the log.
func (s *Server) awaitReady(ctx context.Context) error {
	if line := s.Peer.Recipe.Ready.Log; line != "" {
		if _, err := s.process.Log.Wait(ctx, line); err != nil {
			return err
		}
	}
	for _, port := range s.Peer.Recipe.Ready.UDP {
		if err := s.awaitBound(ctx, port); err != nil {
			return err
		}
	}
	return nil
}

// look is how often the kernel's table of sockets is read: it tells nobody of
// new ones.
const look = 5 * time.Millisecond

func (s *Server) awaitBound(ctx context.Context, port uint16) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		bound, err := udpBound(s.on, port)
		if err != nil || bound {
			return err
		}
		select {
		case <-tick.C:
		case <-s.process.Exited():
			return s.died()
		case <-ctx.Done():
			return fmt.Errorf("UDP port %d is not bound: %w; its log:\n%s", port, context.Cause(ctx), s.process.Log)
		}
	}
}

// udpBound says whether a socket of the namespace has a UDP port.
func udpBound(ns *lab.Namespace, port uint16) (bound bool, err error) {
	err = ns.Do(func() error {
		for _, table := range []string{"udp", "udp6"} {
			text, err := os.ReadFile("/proc/thread-self/net/" + table)
			if errors.Is(err, fs.ErrNotExist) {
				continue // no IPv6
			}
			if err != nil {
				return err
			}
			if hasPort(text, port) {
				bound = true
			}
		}
		return nil
	})
	return bound, err
}

// hasPort looks for a local port in a table of /proc/net/udp, whose second
// column is ADDRESS:PORT in hexadecimal digits.
func hasPort(table []byte, port uint16) bool {
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		_, local, _ := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(local, 16, 16); err == nil && uint16(n) == port {
			return true
		}
	}
	return false
}
