package tftp

import (
	"context"
	"errors"
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/content"
)

// Server is a TFTP server. Its methods but Serve are safe for concurrent use.
type Server struct{}

// Listen opens the server's sockets. The root stays the caller's, who closes it
// after Serve has returned or SetRoot has replaced it.
func Listen(cfg Config, root *content.Root) (*Server, error) {
	return nil, errors.New("tftp: not built yet")
}

// Serve answers clients until ctx ends (and Config.Grace has passed), then closes
// the server. It returns nil on such an end, or what made a worker fail. Call it once.
func (s *Server) Serve(ctx context.Context) error { return nil }

// Close closes a server that was never served. After Serve it does nothing.
func (s *Server) Close() error { return nil }

// Port returns the port that takes requests.
func (s *Server) Port() int { return 0 }

// SetRoot lets requests from now on find their files under root. Running
// transfers keep their files. The caller may close the old root at once.
func (s *Server) SetRoot(root *content.Root) {}

// SetClients replaces Config.Clients for requests from now on. nil: everybody.
func (s *Server) SetClients(allowed func(netip.Addr) bool) {}

// Stats returns the totals.
func (s *Server) Stats() Stats { return Stats{} }

// Transfers returns the running transfers, in no order.
func (s *Server) Transfers() []TransferInfo { return nil }
