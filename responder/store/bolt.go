package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

var _ Store = (*Bolt)(nil)

// Bolt is a Store in one file of this machine's.
type Bolt struct {
	path    string
	db      *bbolt.DB
	history *history

	submitted chan *submission
	quit      chan struct{}
	closeOnce sync.Once
	writer    sync.WaitGroup

	tally tally // the writer's

	mu     sync.Mutex
	health Health
}

// OpenBolt opens the store in a file, which it creates if there is none, with its
// directory. Another process may have it: it waits for that until ctx ends.
func OpenBolt(ctx context.Context, path string) (*Bolt, error) {
	db, err := openFile(ctx, path, migrations)
	if err != nil {
		return nil, err
	}
	b := &Bolt{
		path: path, db: db,
		submitted: make(chan *submission), quit: make(chan struct{}),
		health: Health{Since: time.Now()},
	}
	if b.tally, err = b.readTally(); err != nil {
		db.Close()
		return nil, err
	}
	b.history = newHistory(b.tally.rev)
	b.writer.Go(b.write)
	return b, nil
}

// Close ends watches and commits; what was acknowledged is on the disk.
func (b *Bolt) Close() error {
	var err error
	b.closeOnce.Do(func() {
		close(b.quit)
		b.writer.Wait()
		b.history.close()
		err = b.db.Close()
	})
	return err
}

// Health says whether the last commit could be written.
func (b *Bolt) Health() Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.health
}

func (b *Bolt) setHealth(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if (err == nil) != (b.health.Err == nil) {
		b.health.Since = time.Now()
	}
	b.health.Err = err
}

// view reads the bucket as it is now.
func (b *Bolt) view(ctx context.Context, read func(*bbolt.Bucket) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store %s: %w", b.path, err)
	}
	err := b.db.View(func(tx *bbolt.Tx) error { return read(tx.Bucket([]byte(bucketName))) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		err = ErrClosed
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", b.path, err)
	}
	return nil
}

func (b *Bolt) readTally() (tally, error) {
	var t tally
	err := b.view(context.Background(), func(bucket *bbolt.Bucket) (err error) {
		t, err = tallyOf(bucket)
		return err
	})
	return t, err
}

func tallyOf(bucket *bbolt.Bucket) (tally, error) {
	t, err := parseTally(bucket.Get([]byte(tallyKey)))
	return t, torn(tallyKey, err)
}

func (b *Bolt) Get(ctx context.Context, key string) (it Item, found bool, err error) {
	err = b.view(ctx, func(bucket *bbolt.Bucket) error {
		it, found, err = itemOf(bucket, key)
		return err
	})
	return it, found, err
}

// itemOf reads an item; its value is a copy.
func itemOf(bucket *bbolt.Bucket, key string) (Item, bool, error) {
	record := bucket.Get([]byte(itemPrefix + key))
	if record == nil {
		return Item{}, false, nil
	}
	it, err := parseItem(key, record)
	return it, err == nil, err
}

func parseItem(key string, record []byte) (Item, error) {
	rev, value, err := parseRecord(itemPrefix+key, record)
	if err != nil {
		return Item{}, torn(key, err)
	}
	return Item{Key: key, Value: append([]byte{}, value...), Rev: rev}, nil
}

func torn(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%q: %w (%w): restart xdpxe, which will look through the file", key, err, ErrTorn)
}

func (b *Bolt) List(ctx context.Context, prefix, after string, limit int) ([]Item, error) {
	limit = page(limit)
	var items []Item
	err := b.view(ctx, func(bucket *bbolt.Bucket) error {
		return walk(bucket, prefix, after, func(it Item) error {
			if items = append(items, it); len(items) == limit {
				return errEnough
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

func (b *Bolt) Scan(ctx context.Context, prefix string, each func(Item) error) (Rev, error) {
	var t tally
	err := b.view(ctx, func(bucket *bbolt.Bucket) (err error) {
		if t, err = tallyOf(bucket); err != nil {
			return err
		}
		return walk(bucket, prefix, "", func(it Item) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return each(it)
		})
	})
	return t.rev, err
}

// errEnough ends a walk early.
var errEnough = errors.New("enough")

// walk calls each with the items below prefix, from behind the key `after`.
func walk(bucket *bbolt.Bucket, prefix, after string, each func(Item) error) error {
	below := []byte(itemPrefix + prefix)
	start := below
	if after >= prefix {
		start = []byte(itemPrefix + after + "\x00") // the first key behind it that there can be
	}
	c := bucket.Cursor()
	for k, v := c.Seek(start); k != nil && bytes.HasPrefix(k, below); k, v = c.Next() {
		it, err := parseItem(strings.TrimPrefix(string(k), itemPrefix), v)
		if err == nil {
			err = each(it)
		}
		if errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (b *Bolt) Watch(ctx context.Context, prefix string, from Rev) (<-chan []Change, error) {
	select {
	case <-b.quit:
		return nil, fmt.Errorf("store %s: %w", b.path, ErrClosed)
	default:
	}
	out := make(chan []Change)
	go b.history.watch(ctx, prefix, from, out)
	return out, nil
}
