package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of what is asked of a Store. They hold for both, so that what works
// with one works with the other.
const (
	MaxKey   = 512      // bytes of a key
	MaxValue = 64 << 10 // bytes of a value
	// MaxOps bounds the checks, and the writes, of one Commit: an etcd takes 128
	// operations in a transaction (--max-txn-ops) and the store has some of its own.
	MaxOps   = 120
	MaxBytes = 1 << 20 // keys and values of one Commit; an etcd takes 1.5 MiB (--max-request-bytes)
	MaxPage  = 1000    // items that List returns at once
)

// What an operation can meet. All are wrapped with the key, file or servers
// they are about, and with the way out where it is the operator's.
var (
	ErrConflict    = errors.New("changed meanwhile") // a ConflictError
	ErrTooLarge    = errors.New("too large for the store")
	ErrUnavailable = errors.New("store unavailable")
	ErrClosed      = errors.New("store is closed")
)

// ConflictError says which Check did not hold. It wraps ErrConflict.
type ConflictError struct{ Key string }

func (e *ConflictError) Error() string { return fmt.Sprintf("%q: %v", e.Key, ErrConflict) }
func (e *ConflictError) Unwrap() error { return ErrConflict }

// Rev counts the commits of a store that changed something; in an etcd, those of
// its other users too. Of an item: the one that wrote it last; 0: there is no such item.
type Rev int64

// Item is one key with its value.
type Item struct {
	Key   string
	Value []byte
	Rev   Rev
}

// Check demands that an item is at a revision; at 0, that there is none.
type Check struct {
	Key string
	Rev Rev
}

// Write puts a value, or deletes the item. To delete what is not there is no change.
type Write struct {
	Key    string
	Value  []byte
	Delete bool
}

// Txn is what Commit does, for many of them at a time.
type Txn struct {
	Checks []Check
	Writes []Write
}

// Result is what became of one Txn.
type Result struct {
	Rev Rev
	Err error
}

// Change is one item put or deleted. The value is shared: it is for reading only.
type Change struct {
	Key     string
	Value   []byte
	Rev     Rev
	Deleted bool
}

// Health says since when a store answers, or why it does not.
type Health struct {
	Err   error // nil: it answered last
	Since time.Time
}

// Store is what Bolt and Etcd are. A consumer declares the methods that it needs.
type Store interface {
	// Get returns an item, and whether there is one.
	Get(ctx context.Context, key string) (Item, bool, error)

	// List returns items whose keys begin with prefix, in key order (bytes),
	// from behind the key `after`. Less than limit (at most MaxPage, also for 0)
	// come only at the end.
	List(ctx context.Context, prefix, after string, limit int) ([]Item, error)

	// Scan calls each with all items whose keys begin with prefix, in key order,
	// as they were at the revision that it returns. Watch from that misses nothing.
	// each must not use the store.
	Scan(ctx context.Context, prefix string, each func(Item) error) (Rev, error)

	// Commit does all writes if all checks hold, else nothing: then the error is a
	// ConflictError. When it returns the revision, the writes are durable. After any
	// other error that wraps ErrUnavailable or the context's, they may have been done
	// or not, and never in part: a check makes it safe to try again.
	Commit(ctx context.Context, checks []Check, writes []Write) (Rev, error)

	// Bulk commits many transactions in order: each all or nothing, and each by
	// itself, so one that conflicts does not keep the others. A server that dies
	// leaves a part of them done. There is a Result for each; some may share a revision.
	Bulk(ctx context.Context, txns []Txn) []Result

	// Watch sends every change after the revision `from` of items whose keys begin
	// with prefix, in order; one slice has whole commits. The channel is closed
	// when ctx or the store is, and when the store no longer has the changes that
	// come next, because they are too old or the receiver too slow: then Scan again.
	Watch(ctx context.Context, prefix string, from Rev) (<-chan []Change, error)

	// Health says whether the store answers. It asks nobody.
	Health() Health

	Close() error
}

// validate refuses what not every Store can do.
func (t Txn) validate() error {
	if len(t.Checks) > MaxOps || len(t.Writes) > MaxOps {
		return fmt.Errorf("%d checks and %d writes in one transaction, at most %d each: %w; use Bulk",
			len(t.Checks), len(t.Writes), MaxOps, ErrTooLarge)
	}
	for _, c := range t.Checks {
		if err := validKey(c.Key); err != nil {
			return err
		}
	}
	written := make(map[string]bool, len(t.Writes))
	for _, w := range t.Writes {
		if err := validKey(w.Key); err != nil {
			return err
		}
		if len(w.Value) > MaxValue {
			return fmt.Errorf("value of %q has %d bytes, at most %d: %w", w.Key, len(w.Value), MaxValue, ErrTooLarge)
		}
		if written[w.Key] {
			return fmt.Errorf("%q is written twice in one transaction", w.Key)
		}
		written[w.Key] = true
	}
	if size := t.size(); size > MaxBytes {
		return fmt.Errorf("%d bytes in one transaction, at most %d: %w; use Bulk", size, MaxBytes, ErrTooLarge)
	}
	return nil
}

// size is the bytes of keys and values.
func (t Txn) size() int {
	size := 0
	for _, c := range t.Checks {
		size += len(c.Key)
	}
	for _, w := range t.Writes {
		size += len(w.Key) + len(w.Value)
	}
	return size
}

func validKey(key string) error {
	switch {
	case key == "":
		return errors.New("empty key")
	case len(key) > MaxKey:
		return fmt.Errorf("key %.40q… has %d bytes, at most %d: %w", key, len(key), MaxKey, ErrTooLarge)
	}
	return nil
}

// clone returns a Txn that shares no values with the caller's.
func (t Txn) clone() Txn {
	writes := slices.Clone(t.Writes)
	for i := range writes {
		writes[i].Value = slices.Clone(writes[i].Value)
	}
	return Txn{Checks: slices.Clone(t.Checks), Writes: writes}
}

// page bounds what a caller asks of List.
func page(limit int) int {
	if limit <= 0 || limit > MaxPage {
		return MaxPage
	}
	return limit
}

// only returns the changes whose keys begin with prefix.
func only(changes []Change, prefix string) []Change {
	if prefix == "" {
		return changes
	}
	var out []Change
	for _, c := range changes {
		if strings.HasPrefix(c.Key, prefix) {
			out = append(out, c)
		}
	}
	return out
}
