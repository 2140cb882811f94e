package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/lab"
)

// Server is a running peer.
type Server struct {
	Peer    *Peer
	Command []string // as it was started
	About   string   // how it is set up
	process *lab.Process
	on      *lab.Namespace
}

// readyPatience is how long a server may take to get ready.
const readyPatience = 20 * time.Second

// Start starts the peer in a namespace and returns once it is ready. prefix
// comes before its command ("taskset", "-c", "1"). The directory v.Dir has to
// be there. The lab's Close ends the server at the latest.
func (p *Peer) Start(ctx context.Context, on *lab.Namespace, v Vars, prefix ...string) (*Server, error) {
	v.Kind, v.Variant = p.Kind, p.Variant
	f, err := p.Recipe.fill(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	for name, text := range f.files {
		if err := os.WriteFile(filepath.Join(v.Dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	f.command[0] = p.Program
	s := &Server{Peer: p, Command: append(append([]string(nil), prefix...), f.command...), About: f.about, on: on}
	if s.process, err = on.Start(lab.Command{Name: p.Name, Args: s.Command, Env: f.env}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyPatience, fmt.Errorf("not within %v", readyPatience))
	defer cancel()
	if err := s.awaitReady(ctx); err != nil {
		err = fmt.Errorf("%s does not get ready: %w", p.Name, err)
		if s.Alive() == nil {
			err = errors.Join(err, s.Stop())
		}
		return nil, err
	}
	return s, nil
}

// Pid is the server's process id.
func (s *Server) Pid() int { return s.process.Pid() }

// Exited is closed when the server has ended.
func (s *Server) Exited() <-chan struct{} { return s.process.Exited() }

// Alive returns an error with the server's log if it has ended.
func (s *Server) Alive() error {
	select {
	case <-s.process.Exited():
		return s.died()
	default:
		return nil
	}
}

func (s *Server) died() error {
	return fmt.Errorf("%s has ended by itself (exit status %d); its log:\n%s", s.Peer.Name, s.process.ExitCode(), s.process.Log)
}

// Stop ends the server and what it forked: all are in the process group that
// the lab made for it. A server that had ended before is an error.
func (s *Server) Stop() error {
	if err := s.Alive(); err != nil {
		return err
	}
	// Nobody has waited for the process yet, so its group is still its own.
	if err := unix.Kill(-s.Pid(), unix.SIGTERM); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("stop %s: %w", s.Peer.Name, err)
	}
	return s.process.Stop()
}
