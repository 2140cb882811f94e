package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Format of what is below the prefix. A newer one has another number.
const etcdFormat = "1"

func (e *Etcd) Commit(ctx context.Context, checks []Check, writes []Write) (Rev, error) {
	return e.CommitLeased(ctx, 0, checks, writes)
}

// CommitLeased is Commit, and what it puts goes with the lease (0: none).
func (e *Etcd) CommitLeased(ctx context.Context, lease Lease, checks []Check, writes []Write) (Rev, error) {
	t := Txn{checks, writes}
	if err := t.validate(); err != nil {
		return 0, fmt.Errorf("%s: %w", e.name, err)
	}
	rev, stale, err := e.commit(ctx, lease, []Txn{t})
	if err == nil && len(stale) > 0 {
		err = fmt.Errorf("%s: %w", e.name, &ConflictError{firstStale(t, stale)})
	}
	if err != nil {
		return 0, err
	}
	return rev, nil
}

func firstStale(t Txn, stale map[string]Rev) string {
	for _, c := range t.Checks {
		if rev, is := stale[c.Key]; is && rev != c.Rev {
			return c.Key
		}
	}
	return ""
}

// Bulk packs as many transactions as fit into one of the etcd's, which are
// then done together. Those with a check that does not hold are left out.
func (e *Etcd) Bulk(ctx context.Context, txns []Txn) []Result {
	results := make([]Result, len(txns))
	for next := 0; next < len(txns); {
		var pack []int
		pack, next = e.pack(txns, next, results)
		for len(pack) > 0 {
			together := make([]Txn, len(pack))
			for i, at := range pack {
				together[i] = txns[at]
			}
			rev, stale, err := e.commit(ctx, 0, together)
			if err != nil {
				for _, at := range pack {
					results[at].Err = err
				}
				// What comes after would fail as well, after as long a wait.
				for i := next; i < len(txns); i++ {
					results[i].Err = fmt.Errorf("not tried: %w", err)
				}
				return results
			}
			left := pack[:0]
			for _, at := range pack {
				if key := firstStale(txns[at], stale); key != "" {
					results[at].Err = fmt.Errorf("%s: %w", e.name, &ConflictError{key})
				} else if len(stale) > 0 {
					left = append(left, at)
				} else {
					results[at].Rev = rev
				}
			}
			pack = left
		}
	}
	return results
}

// pack returns which transactions, from the next on, go together, and the one
// after them. None may read or write what another one writes: in one
// transaction of the etcd they would not see each other.
func (e *Etcd) pack(txns []Txn, next int, results []Result) ([]int, int) {
	var pack []int
	checked, written := map[string]Rev{}, map[string]bool{}
	checks, writes, size := 0, 0, 0
	for ; next < len(txns); next++ {
		t := txns[next]
		if err := t.validate(); err != nil {
			results[next].Err = fmt.Errorf("%s: %w", e.name, err)
			continue
		}
		checks += len(t.Checks)
		writes += len(t.Writes)
		size += t.size()
		if len(pack) > 0 && (checks > MaxOps || writes > MaxOps || size > MaxBytes || meet(t, checked, written)) {
			break
		}
		for _, c := range t.Checks {
			checked[c.Key] = c.Rev
		}
		for _, w := range t.Writes {
			written[w.Key] = true
		}
		pack = append(pack, next)
	}
	return pack, next
}

func meet(t Txn, checked map[string]Rev, written map[string]bool) bool {
	for _, c := range t.Checks {
		// Two that want other revisions of an item cannot both be right: apart, one gets its answer.
		if rev, is := checked[c.Key]; written[c.Key] || is && rev != c.Rev {
			return true
		}
	}
	for _, w := range t.Writes {
		if _, is := checked[w.Key]; is || written[w.Key] {
			return true
		}
	}
	return false
}

// commit does transactions in one of the etcd's: all of them, or none. Then
// stale has the checked items and their revisions, of which one at least does not fit.
func (e *Etcd) commit(ctx context.Context, lease Lease, txns []Txn) (rev Rev, stale map[string]Rev, err error) {
	ours := clientv3.Compare(clientv3.Value(e.format), "=", etcdFormat)
	conditions, reads := []clientv3.Cmp{ours}, []clientv3.Op{clientv3.OpGet(e.format, clientv3.WithKeysOnly())}
	var ops []clientv3.Op
	var checks []Check
	for _, t := range txns {
		for _, c := range t.Checks {
			checks = append(checks, c)
			conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(e.prefix+c.Key), "=", int64(c.Rev)))
			reads = append(reads, clientv3.OpGet(e.prefix+c.Key, clientv3.WithKeysOnly()))
		}
		for _, w := range t.Writes {
			if w.Delete {
				ops = append(ops, clientv3.OpDelete(e.prefix+w.Key))
			} else {
				ops = append(ops, clientv3.OpPut(e.prefix+w.Key, string(w.Value), clientv3.WithLease(clientv3.LeaseID(lease))))
			}
		}
	}
	// Twice: a format that is not there (an etcd that has been replaced) is put there.
	for range 2 {
		if err := e.fence(ctx); err != nil {
			return 0, nil, err
		}
		var resp *clientv3.TxnResponse
		err := e.do(ctx, func(ctx context.Context, c *clientv3.Client) (header *etcdserverpb.ResponseHeader, err error) {
			if resp, err = c.Txn(ctx).If(conditions...).Then(ops...).Else(reads...).Commit(); err != nil {
				return nil, err
			}
			return resp.Header, nil
		})
		if err != nil {
			return 0, nil, err
		}
		if resp.Succeeded {
			return Rev(resp.Header.Revision), nil, nil
		}
		stale = make(map[string]Rev, len(checks))
		mismatch := false
		for i, c := range checks {
			have := Rev(0)
			if kvs := resp.Responses[i+1].GetResponseRange().Kvs; len(kvs) > 0 {
				have = Rev(kvs[0].ModRevision)
			}
			stale[c.Key] = have
			mismatch = mismatch || have != c.Rev
		}
		if mismatch {
			return 0, stale, nil
		}
		e.unfence() // the format it is that is not as it should be
	}
	return 0, nil, fmt.Errorf("%s: %w: the format below %s changes all the time", e.name, ErrUnavailable, e.format)
}

func (e *Etcd) unfence() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fenced = false
}

// fence makes sure, once, that what is below the prefix is ours to read and write.
func (e *Etcd) fence(ctx context.Context) error {
	e.mu.Lock()
	fenced := e.fenced
	e.mu.Unlock()
	if fenced {
		return nil
	}
	return e.checkFormat(ctx)
}

// checkFormat is fence now; an empty etcd gets our format.
func (e *Etcd) checkFormat(ctx context.Context) error {
	root := strings.TrimSuffix(e.format, "format")
	err := e.do(ctx, func(ctx context.Context, c *clientv3.Client) (*etcdserverpb.ResponseHeader, error) {
		absent := clientv3.Compare(clientv3.Version(e.format), "=", 0)
		found, err := c.Txn(ctx).If(absent).
			Then(clientv3.OpGet(root, clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())).
			Else(clientv3.OpGet(e.format)).Commit()
		if err != nil {
			return nil, err
		}
		kvs := found.Responses[0].GetResponseRange().Kvs
		if found.Succeeded {
			if len(kvs) > 0 {
				return nil, fmt.Errorf("%w: there is %q below %s, but no format: give xdpxe another prefix", ErrForeign, kvs[0].Key, root)
			}
			made, err := c.Txn(ctx).If(absent).Then(clientv3.OpPut(e.format, etcdFormat)).Else(clientv3.OpGet(e.format)).Commit()
			if err != nil || made.Succeeded {
				return made.Header, err
			}
			found, kvs = made, made.Responses[0].GetResponseRange().Kvs // another server was quicker
		}
		if have := string(kvs[0].Value); have != etcdFormat {
			return nil, fmt.Errorf("%w: what is below %s has format %.20q, this one knows %s: start the newer xdpxe, or give this one another prefix", ErrNewer, root, have, etcdFormat)
		}
		return found.Header, nil
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fenced = err == nil || e.fenced && errors.Is(err, ErrUnavailable)
	return err
}
