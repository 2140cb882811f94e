package store

import (
	"context"
	"errors"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// login logs in with a password when the etcd asks for it: it gives a token,
// which every request carries, and forgets it after a while.
//
// The client library would do that, but not with an etcd that is not there yet
// (it logs in before it returns), and it sends the old token along with the
// login, which etcd 3.4 refuses, and so on until the request's time is over.
type login struct {
	user, password string

	one   chan struct{} // who has its one element logs in
	mu    sync.Mutex
	token string
}

func newLogin(user, password string) *login {
	return &login{user: user, password: password, one: make(chan struct{}, 1)}
}

func (l *login) current() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token
}

// renew gets another token than the one that was refused.
func (l *login) renew(ctx context.Context, cc *grpc.ClientConn, refused string) error {
	select {
	case l.one <- struct{}{}:
		defer func() { <-l.one }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.current() != refused {
		return nil // somebody was quicker
	}
	reply, err := etcdserverpb.NewAuthClient(cc).Authenticate(ctx, &etcdserverpb.AuthenticateRequest{Name: l.user, Password: l.password})
	if err != nil && !errors.Is(rpctypes.Error(err), rpctypes.ErrAuthNotEnabled) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = reply.GetToken()
	return nil
}

// wanted says whether an etcd refused a request for want of a valid token.
func (l *login) wanted(err error) bool {
	err = rpctypes.Error(err)
	return l.user != "" && (errors.Is(err, rpctypes.ErrUserEmpty) || errors.Is(err, rpctypes.ErrInvalidAuthToken) || errors.Is(err, rpctypes.ErrAuthOldRevision))
}

const (
	loginMethod = "/etcdserverpb.Auth/Authenticate"
	watchMethod = "/etcdserverpb.Watch/Watch"
)

// GetRequestMetadata adds the token to a request; credentials.PerRPCCredentials.
func (l *login) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token := l.current()
	if info, _ := credentials.RequestInfoFromContext(ctx); token == "" || info.Method == loginMethod {
		return nil, nil
	}
	return map[string]string{rpctypes.TokenFieldNameGRPC: token}, nil
}

// RequireTransportSecurity allows a password over loopback; EtcdConfig.check refuses others.
func (l *login) RequireTransportSecurity() bool { return false }

// ask is a grpc.UnaryClientInterceptor. The library waits for a connection until
// the request's time is over, and then can only say so; at once it says what is
// wrong with the connection, such as a certificate. A request refused for its
// token was not done, so it is safe to do it again.
func (l *login) ask(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, ask grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	opts = append(opts, grpc.WaitForReady(false))
	token := l.current()
	err := ask(ctx, method, req, reply, cc, opts...)
	if err == nil || method == loginMethod || !l.wanted(err) {
		return err
	}
	if err := l.renew(ctx, cc, token); err != nil {
		return err
	}
	return ask(ctx, method, req, reply, cc, opts...)
}

// stream is a grpc.StreamClientInterceptor. A watch's token is looked at when it
// begins, and the refusal does not say why: it begins with a fresh one.
func (l *login) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if method == watchMethod && l.user != "" {
		if err := l.renew(ctx, cc, l.current()); err != nil {
			return nil, err
		}
	}
	return stream(ctx, desc, cc, method, append(opts, grpc.WaitForReady(false))...)
}
