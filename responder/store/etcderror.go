package store

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// explain says what is wrong, with which etcd, and the way out.
func (e *Etcd) explain(err error) error {
	hint := ""
	switch {
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNewer), errors.Is(err, ErrForeign), errors.Is(err, ErrLeaseGone):
		return fmt.Errorf("%s: %w", e.name, err)
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyOps):
		return fmt.Errorf("%s: %w: %v: its --max-txn-ops must be at least 128 and its --max-request-bytes 1572864, as they are by default", e.name, ErrTooLarge, err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		hint = ": compact and defragment it, then etcdctl alarm disarm; --auto-compaction-retention=1h keeps it small"
	case errors.Is(err, rpctypes.ErrAuthFailed):
		hint = fmt.Sprintf(": check user %q and its password", e.user)
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		hint = fmt.Sprintf(": the user needs a role with `etcdctl role grant-permission ROLE --prefix readwrite %s`", e.format[:len(e.format)-len("format")])
	case errors.Is(err, rpctypes.ErrUserEmpty):
		hint = ": it wants to know who asks: configure a user and password, or a client certificate"
	case errors.Is(err, rpctypes.ErrAuthNotEnabled):
		hint = ": it knows no users: leave user and password out, or etcdctl auth enable"
	case errors.Is(err, context.DeadlineExceeded), status.Code(err) == codes.DeadlineExceeded:
		hint = fmt.Sprintf(": no answer within %v: is it running, and has it a majority?", e.within)
	}
	return fmt.Errorf("%s: %w: %s%s", e.name, ErrUnavailable, status.Convert(err).Message(), hint)
}
