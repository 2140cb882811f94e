package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrLeaseGone is wrapped when a lease has run out, with what was put by it.
var ErrLeaseGone = errors.New("the lease has run out")

// Lease is a time that items live unless their owner prolongs it.
type Lease int64

// Grant begins a lease. The etcd may give a longer one than asked for.
func (e *Etcd) Grant(ctx context.Context, ttl time.Duration) (Lease, error) {
	var lease Lease
	err := e.do(ctx, func(ctx context.Context, c *clientv3.Client) (*etcdserverpb.ResponseHeader, error) {
		resp, err := c.Grant(ctx, int64((ttl+time.Second-1)/time.Second))
		if err != nil {
			return nil, err
		}
		lease = Lease(resp.ID)
		return resp.ResponseHeader, nil
	})
	return lease, err
}

// KeepAlive prolongs a lease once, by its full time from now on.
func (e *Etcd) KeepAlive(ctx context.Context, lease Lease) error {
	return e.do(ctx, func(ctx context.Context, c *clientv3.Client) (*etcdserverpb.ResponseHeader, error) {
		resp, err := c.KeepAliveOnce(ctx, clientv3.LeaseID(lease))
		if err != nil {
			return nil, leaseError(err)
		}
		return resp.ResponseHeader, nil
	})
}

// Revoke ends a lease at once.
func (e *Etcd) Revoke(ctx context.Context, lease Lease) error {
	return e.do(ctx, func(ctx context.Context, c *clientv3.Client) (*etcdserverpb.ResponseHeader, error) {
		resp, err := c.Revoke(ctx, clientv3.LeaseID(lease))
		if err != nil {
			return nil, leaseError(err)
		}
		return resp.Header, nil
	})
}

func leaseError(err error) error {
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("%w: %w", ErrLeaseGone, err)
	}
	return err
}
