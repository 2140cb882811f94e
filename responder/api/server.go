package api

import (
	"context"
	"net"

	"go.uber.org/zap"
)

// Config says where a Server listens, and whom it believes. Of TokenFile and
// ClientCA at least one is needed.
type Config struct {
	Listen    string // HOST:PORT
	Cert, Key string // files in PEM
	ClientCA  string // file in PEM: the authorities of clients' certificates
	TokenFile string
	Log       *zap.Logger
}

var _ interface {
	Addr() net.Addr
	Reload() error
	Serve(ctx context.Context) error
	Close() error
} = (*Server)(nil)
