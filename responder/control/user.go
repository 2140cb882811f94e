package control

import (
	"context"
	"net"
	"os/user"
	"strconv"
	"syscall"
)

// credentials are those of the process on the other side when it connected or
// listened (unix(7), SO_PEERCRED); nil if they are not known.
func credentials(c *net.UnixConn) *syscall.Ucred {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var cred *syscall.Ucred
	raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err != nil {
		return nil
	}
	return cred
}

// userListener notes of each connection who made it.
type userListener struct{ *net.UnixListener }

func (l userListener) Accept() (net.Conn, error) {
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return userConn{c, credentials(c)}, nil
}

// userConn tells by its remote address who is there: that goes through all
// wrappers, and a unix client's own address says nothing.
type userConn struct {
	*net.UnixConn
	cred *syscall.Ucred
}

func (c userConn) RemoteAddr() net.Addr {
	if c.cred == nil {
		return c.UnixConn.RemoteAddr()
	}
	return userAddr(c.cred.Uid)
}

type userAddr uint32

func (a userAddr) Network() string { return "unix" }
func (a userAddr) String() string  { return "uid " + strconv.FormatUint(uint64(a), 10) }

type userKey struct{}

// withUser notes the user of a connection for its requests.
func withUser(ctx context.Context, c net.Conn) context.Context {
	if a, ok := c.RemoteAddr().(userAddr); ok {
		return context.WithValue(ctx, userKey{}, a)
	}
	return ctx
}

// User returns who made a request over the control socket: a name of this
// machine, or the number of a user without one. Empty: it came by another way.
func User(ctx context.Context) string {
	uid, ok := ctx.Value(userKey{}).(userAddr)
	if !ok {
		return ""
	}
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		return u.Username
	}
	return uid.String()
}
