package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// bbolt's file format, version 2 (its internal/common): pages of one size, of
// which the first two are metas; numbers are in the machine's byte order.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHead    = 16 // id, flags, count, overflow
	elementSize = 16
	metaSize    = 64

	branchFlag     = 0x01
	leafFlag       = 0x02
	freelistFlag   = 0x10
	bucketLeafFlag = 0x01

	noFreelist = ^uint64(0)
	maxDepth   = 64 // of a tree; a sane one of 1 GiB has five levels
)

var order = binary.NativeEndian

// newerError is the format of a file that this xdpxe cannot know.
type newerError int

func (e newerError) Error() string { return fmt.Sprintf("format %d", int(e)) }

// foreignError says what a file has that no store of ours has.
type foreignError string

func (e foreignError) Error() string { return string(e) }

// verify walks a store's file with plain reads, from the meta that bbolt will
// use, and returns its format: all pages are where the file has some, each is used
// once, keys are in order, and the checksum of each record fits. bbolt itself
// trusts what it maps: a page missing at the end is SIGBUS, a loop is no end.
//
// A torn meta is not an error: bbolt writes the two in turn and takes the other,
// whose commit was the last one acknowledged.
func verify(r io.ReaderAt, size int64, newest int) (int, error) {
	w := &walker{r: r, size: size, newest: newest}
	m, err := w.meta()
	if err != nil {
		return 0, err
	}
	w.pageSize = int(m.pageSize)
	if m.pages < 2 || m.pages > uint64(size)/uint64(w.pageSize) {
		return 0, fmt.Errorf("%d pages of %d bytes in a file of %d: its end is missing", m.pages, w.pageSize, size)
	}
	w.used = make([]bool, m.pages)
	w.used[0], w.used[1] = true, true

	var bucket []byte
	if err := w.tree(m.root, nil, nil, 0, func(flags uint32, key, value []byte) error {
		if string(key) != bucketName || flags != bucketLeafFlag {
			return foreignError(fmt.Sprintf("a bbolt file of another program, with %.40q", key))
		}
		bucket = bytes.Clone(value)
		return nil
	}); err != nil {
		return 0, err
	}
	if bucket == nil {
		return 0, foreignError("an empty bbolt file")
	}
	if err := w.bucket(bucket); err != nil {
		return 0, err
	}
	switch {
	case w.format == 0 || w.format == newest && w.told == nil:
		return 0, errors.New("its first records are missing")
	case w.told != nil && w.found.items != w.told.items:
		return 0, fmt.Errorf("it has %d items of %d", w.found.items, w.told.items)
	case w.told != nil && w.found.sum != w.told.sum:
		return 0, errors.New("some of its items are old ones")
	}
	return w.format, w.freelist(m.freelist)
}

// walker reads a file page by page.
type walker struct {
	r        io.ReaderAt
	size     int64
	pageSize int
	used     []bool // the pages read so far
	last     []byte // the key before

	newest int    // format that is known
	format int    // of the file, once it is read
	told   *tally // what the file says,
	found  tally  // and what it has
}

type boltMeta struct {
	pageSize                    uint32
	root, freelist, pages, txid uint64
}

// meta returns the meta that bbolt would take: of the valid ones the newest.
func (w *walker) meta() (boltMeta, error) {
	if w.size == 0 {
		return boltMeta{}, errors.New("it is empty")
	}
	best, err := w.metaAt(0)
	if err == nil {
		if other, err1 := w.metaAt(int64(best.pageSize)); err1 == nil && other.txid > best.txid {
			best = other
		}
		return best, nil
	}
	// Where the second one is, the first one would have said.
	for pos := int64(1024); pos <= 1024<<14 && pos+pageHead+metaSize <= w.size; pos *= 2 {
		if m, err1 := w.metaAt(pos); err1 == nil && int64(m.pageSize) == pos {
			return m, nil
		}
	}
	return boltMeta{}, err
}

func (w *walker) metaAt(pos int64) (boltMeta, error) {
	var b [metaSize]byte
	if n, err := w.r.ReadAt(b[:], pos+pageHead); n < len(b) {
		if n >= 4 && order.Uint32(b[:]) == boltMagic {
			return boltMeta{}, errors.New("it ends within its first page")
		}
		return boltMeta{}, foreign(err)
	}
	switch {
	case order.Uint32(b[:]) != boltMagic:
		return boltMeta{}, foreign(nil)
	case order.Uint32(b[4:]) != boltVersion:
		return boltMeta{}, foreignError(fmt.Sprintf("a bbolt file of version %d, not %d", order.Uint32(b[4:]), boltVersion))
	}
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	if order.Uint64(b[metaSize-8:]) != sum.Sum64() {
		return boltMeta{}, errors.New("neither meta page has its checksum")
	}
	m := boltMeta{
		pageSize: order.Uint32(b[8:]),
		root:     order.Uint64(b[16:]),
		freelist: order.Uint64(b[32:]),
		pages:    order.Uint64(b[40:]),
		txid:     order.Uint64(b[48:]),
	}
	if m.pageSize < 1024 || m.pageSize > 1024<<14 || m.pageSize&(m.pageSize-1) != 0 {
		return boltMeta{}, fmt.Errorf("pages of %d bytes", m.pageSize)
	}
	return m, nil
}

// foreign says that this is no bbolt file, unless it could not be read.
func foreign(err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return foreignError("no bbolt file")
}

// page reads one page with its overflow, and marks it used.
func (w *walker) page(id uint64) ([]byte, error) {
	if id >= uint64(len(w.used)) {
		return nil, fmt.Errorf("page %d is beyond the last, %d", id, len(w.used)-1)
	}
	var head [pageHead]byte
	if _, err := w.r.ReadAt(head[:], int64(id)*int64(w.pageSize)); err != nil {
		return nil, err
	}
	if own := order.Uint64(head[:]); own != id {
		return nil, fmt.Errorf("page %d says that it is page %d", id, own)
	}
	n := 1 + uint64(order.Uint32(head[12:]))
	if n > uint64(len(w.used))-id {
		return nil, fmt.Errorf("page %d goes on beyond the last, %d", id, len(w.used)-1)
	}
	for i := id; i < id+n; i++ {
		if w.used[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		w.used[i] = true
	}
	b := make([]byte, n*uint64(w.pageSize))
	_, err := w.r.ReadAt(b, int64(id)*int64(w.pageSize))
	return b, err
}

// visit gets the elements of leaves, in key order.
type visit func(flags uint32, key, value []byte) error

// tree walks what is below a page; all keys must be in [from, to), nil: no bound.
func (w *walker) tree(id uint64, from, to []byte, depth int, leaf visit) error {
	if depth == 0 {
		w.last = nil
	}
	if depth > maxDepth {
		return fmt.Errorf("page %d is %d levels deep", id, depth)
	}
	page, err := w.page(id)
	if err != nil {
		return err
	}
	switch flags := order.Uint16(page[8:]); flags {
	case leafFlag:
		err = w.leaf(page, from, to, leaf)
	case branchFlag:
		err = w.branch(page, to, depth, leaf)
	default:
		err = fmt.Errorf("type %#x", flags)
	}
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

func (w *walker) branch(page, to []byte, depth int, leaf visit) error {
	count := int(order.Uint16(page[10:]))
	if count == 0 || pageHead+count*elementSize > len(page) {
		return fmt.Errorf("%d elements", count)
	}
	type child struct {
		key []byte
		id  uint64
	}
	children := make([]child, count)
	for i := range children {
		at := pageHead + i*elementSize
		e := page[at:]
		key, err := piece(page, uint64(at)+uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])))
		if err != nil {
			return err
		}
		children[i] = child{key, order.Uint64(e[8:])}
	}
	for i, c := range children {
		end := to
		if i+1 < count {
			end = children[i+1].key
		}
		if end != nil && bytes.Compare(c.key, end) >= 0 {
			return fmt.Errorf("key %d is out of order", i)
		}
		if err := w.tree(c.id, c.key, end, depth+1, leaf); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) leaf(page, from, to []byte, leaf visit) error {
	count := int(order.Uint16(page[10:]))
	if pageHead+count*elementSize > len(page) {
		return fmt.Errorf("%d elements", count)
	}
	for i := range count {
		at := pageHead + i*elementSize
		e := page[at:]
		pos, ksize, vsize := uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
		both, err := piece(page, uint64(at)+pos, ksize+vsize)
		if err != nil {
			return err
		}
		key, value := both[:ksize], both[ksize:]
		if bytes.Compare(key, from) < 0 || to != nil && bytes.Compare(key, to) >= 0 || w.last != nil && bytes.Compare(key, w.last) <= 0 {
			return fmt.Errorf("key %d is out of order", i)
		}
		w.last = append(w.last[:0], key...)
		if err := leaf(order.Uint32(e), key, value); err != nil {
			return err
		}
	}
	return nil
}

func piece(page []byte, from, length uint64) ([]byte, error) {
	if from > uint64(len(page)) || length > uint64(len(page))-from {
		return nil, errors.New("an element is beyond its end")
	}
	return page[from : from+length], nil
}

// bucket walks the bucket whose entry this is: the number of its root page and a
// counter; for one so small that it has no page, the page follows.
func (w *walker) bucket(entry []byte) error {
	if len(entry) < 16 {
		return fmt.Errorf("bucket %q: an entry of %d bytes", bucketName, len(entry))
	}
	if root := order.Uint64(entry); root != 0 {
		return w.tree(root, nil, nil, 0, w.record)
	}
	page := entry[16:]
	if len(page) < pageHead || order.Uint16(page[8:]) != leafFlag {
		return fmt.Errorf("bucket %q: its page is missing", bucketName)
	}
	w.last = nil
	return w.leaf(page, nil, nil, w.record)
}

// record checks one record. The format comes first (record.go): the records of
// a newer one are not looked at.
func (w *walker) record(flags uint32, key, value []byte) error {
	if flags != 0 {
		return fmt.Errorf("key %.40q: flags %#x", key, flags)
	}
	if w.format == 0 {
		if string(key) != formatKey {
			return foreignError(fmt.Sprintf("no format record, but %.40q", key))
		}
		version, err := parseFormat(string(value))
		if err != nil {
			return err
		}
		w.format = version
		if version > w.newest {
			return newerError(version)
		}
		return nil
	}
	if w.format < w.newest {
		return nil // the migrations know them
	}
	if _, _, err := parseRecord(string(key), value); err != nil {
		return fmt.Errorf("key %.40q: %w", key, err)
	}
	if string(key) == tallyKey {
		t, err := parseTally(value)
		w.told = &t
		return err
	}
	w.found.add(value)
	return nil
}

// freelist checks that free pages are those that nothing uses: a used one would
// be written over.
func (w *walker) freelist(id uint64) error {
	if id == noFreelist {
		return nil // bbolt makes one
	}
	page, err := w.page(id)
	if err != nil {
		return err
	}
	if flags := order.Uint16(page[8:]); flags != freelistFlag {
		return fmt.Errorf("page %d: type %#x, not a list of free pages", id, flags)
	}
	ids, count := page[pageHead:], uint64(order.Uint16(page[10:]))
	if count == 0xFFFF { // then the list says how many
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids))/8 {
		return fmt.Errorf("page %d: %d free pages", id, count)
	}
	for i := range count {
		free := order.Uint64(ids[8*i:])
		if free >= uint64(len(w.used)) || w.used[free] {
			return fmt.Errorf("page %d: page %d is no free page", id, free)
		}
		w.used[free] = true
	}
	return nil
}
