package store

import (
	"context"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func (e *Etcd) Get(ctx context.Context, key string) (Item, bool, error) {
	if err := e.fence(ctx); err != nil {
		return Item{}, false, err
	}
	var kvs []*mvccpb.KeyValue
	err := e.do(ctx, func(ctx context.Context, c *clientv3.Client) (*etcdserverpb.ResponseHeader, error) {
		resp, err := c.Get(ctx, e.prefix+key)
		if err != nil {
			return nil, err
		}
		kvs = resp.Kvs
		return resp.Header, nil
	})
	if err != nil || len(kvs) == 0 {
		return Item{}, false, err
	}
	return e.item(kvs[0]), true, nil
}

func (e *Etcd) List(ctx context.Context, prefix, after string, limit int) ([]Item, error) {
	if err := e.fence(ctx); err != nil {
		return nil, err
	}
	items, _, err := e.list(ctx, prefix, after, page(limit), 0)
	return items, err
}

// list is List as of a revision; 0: now, which it returns.
func (e *Etcd) list(ctx context.Context, prefix, after string, limit int, at Rev) (items []Item, now Rev, err error) {
	start := e.prefix + prefix
	if after >= prefix {
		start = e.prefix + after + "\x00" // the first key behind it that there can be
	}
	end := clientv3.GetPrefixRangeEnd(e.prefix + prefix)
	err = e.do(ctx, func(ctx context.Context, c *clientv3.Client) (*etcdserverpb.ResponseHeader, error) {
		if start >= end {
			return nil, nil
		}
		resp, err := c.Get(ctx, start, clientv3.WithRange(end), clientv3.WithLimit(int64(limit)), clientv3.WithRev(int64(at)))
		if err != nil {
			return nil, err
		}
		for _, kv := range resp.Kvs {
			items = append(items, e.item(kv))
		}
		now = Rev(resp.Header.Revision)
		return resp.Header, nil
	})
	return items, now, err
}

// Scan reads page by page, all as of the first one's revision. One so slow that
// the etcd has forgotten that revision meanwhile ends with ErrUnavailable.
func (e *Etcd) Scan(ctx context.Context, prefix string, each func(Item) error) (Rev, error) {
	if err := e.fence(ctx); err != nil {
		return 0, err
	}
	var at Rev
	for after := ""; ; {
		items, now, err := e.list(ctx, prefix, after, MaxPage, at)
		if err != nil {
			return 0, err
		}
		if at == 0 {
			at = now
		}
		for _, it := range items {
			if err := each(it); err != nil {
				return 0, err
			}
		}
		if len(items) < MaxPage {
			return at, nil
		}
		after = items[len(items)-1].Key
	}
}

func (e *Etcd) item(kv *mvccpb.KeyValue) Item {
	return Item{Key: strings.TrimPrefix(string(kv.Key), e.prefix), Value: kv.Value, Rev: Rev(kv.ModRevision)}
}
