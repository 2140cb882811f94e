// Package fdstore is the daemon's side of the service manager's file descriptor
// store (sd_notify(3): FDSTORE; sd_listen_fds(3)): sockets in it stay open
// when the process ends, however it ends, and are handed to the next one. systemd
// has such a store, and so has `xdpxe keep`.
package fdstore

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// Store is the store. Its methods are safe for concurrent use.
type Store struct {
	socket string
	mu     sync.Mutex
	left   map[string]int // inherited, and not taken yet
}

// Open takes over what a former process stored. nil: there is no service
// manager, or it says that it keeps nothing. It may be called once, as it
// clears the environment.
func Open() *Store {
	files := activation.Files(true)
	s := &Store{socket: os.Getenv("NOTIFY_SOCKET"), left: map[string]int{}}
	for _, f := range files {
		// A descriptor of our own: the File closes its when it is collected.
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if _, double := s.left[f.Name()]; err == nil && !double {
			s.left[f.Name()] = fd
		} else if err == nil {
			unix.Close(fd)
		}
		f.Close()
	}
	if s.socket == "" || os.Getenv("FDSTORE") == "0" { // which systemd sets since 254
		s.closeLeft()
		return nil
	}
	return s
}

// Take returns the inherited descriptors whose names have a prefix. They are
// the caller's, and the manager's as before.
func (s *Store) Take(prefix string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := map[string]int{}
	for name, fd := range s.left {
		if strings.HasPrefix(name, prefix) {
			taken[name] = fd
			delete(s.left, name)
		}
	}
	return taken
}

// Discard closes what nobody took and lets the manager forget it.
func (s *Store) Discard() error {
	var errs []error
	for name, fd := range s.Take("") {
		errs = append(errs, unix.Close(fd), s.Remove(name))
	}
	return errors.Join(errs...)
}

func (s *Store) closeLeft() {
	for _, fd := range s.left {
		unix.Close(fd)
	}
}

// Store lets the manager keep a descriptor until Remove. systemd would drop a
// socket from its store at the first ICMP error that waits on it: FDPOLL=0.
func (s *Store) Store(name string, fd int) error {
	return s.send("FDSTORE=1\nFDPOLL=0\nFDNAME="+name, unix.UnixRights(fd))
}

// Remove lets the manager forget a descriptor.
func (s *Store) Remove(name string) error { return s.send("FDSTOREREMOVE=1\nFDNAME="+name, nil) }

func (s *Store) send(state string, rights []byte) error {
	err := sendTo(s.socket, []byte(state), rights)
	if err != nil {
		return fmt.Errorf("descriptor store of the service manager: %w", err)
	}
	return nil
}

// patience is how long a manager may be too busy to listen, in seconds.
const patience = 10

// sendTo sends one datagram; package net does not send descriptors so. It waits
// until the manager has room for it.
func sendTo(socket string, text, rights []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: patience}); err != nil {
		return err
	}
	for {
		if err = unix.Sendmsg(fd, text, rights, &unix.SockaddrUnix{Name: socket}, 0); err != unix.EINTR {
			return err
		}
	}
}
