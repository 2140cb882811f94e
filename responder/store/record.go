package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// What the file's one bucket holds: its format and the tally, which come first in
// key order, and the items. The format's record has the same form for ever; all
// other records are a checksum of key, revision and value, then the revision,
// then the value.
const (
	bucketName = "xdpxe"
	formatKey  = "!format"
	tallyKey   = "!tally"
	itemPrefix = "/"

	formatText = "xdpxe store format "

	recordHead = 4 + 8
)

var (
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
	errBadRecord = errors.New("checksum does not fit")
)

func appendRecord(dst []byte, key string, rev Rev, value []byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(rev))
	dst = append(dst, value...)
	sum := crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, dst[start+4:])
	binary.BigEndian.PutUint32(dst[start:], sum)
	return dst
}

// parseRecord returns a record's revision and value, which is a part of it.
func parseRecord(key string, record []byte) (Rev, []byte, error) {
	if len(record) < recordHead {
		return 0, nil, errBadRecord
	}
	sum := crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, record[4:])
	if sum != binary.BigEndian.Uint32(record) {
		return 0, nil, errBadRecord
	}
	return Rev(binary.BigEndian.Uint64(record[4:])), record[recordHead:], nil
}

// tally is the last revision, and what tells that no item is missing or an old
// one: how many there are and the sum of their checksums.
type tally struct {
	rev        Rev
	items, sum uint64
}

// add counts an item's record in.
func (t *tally) add(record []byte) {
	t.items++
	t.sum += uint64(binary.BigEndian.Uint32(record))
}

// remove counts an item's record out; nil: there is none.
func (t *tally) remove(record []byte) {
	if len(record) >= recordHead {
		t.items--
		t.sum -= uint64(binary.BigEndian.Uint32(record))
	}
}

func (t tally) record() []byte {
	value := binary.BigEndian.AppendUint64(nil, t.items)
	value = binary.BigEndian.AppendUint64(value, t.sum)
	return appendRecord(nil, tallyKey, t.rev, value)
}

func parseTally(record []byte) (tally, error) {
	rev, value, err := parseRecord(tallyKey, record)
	if err == nil && len(value) != 16 {
		err = fmt.Errorf("a tally of %d bytes", len(value))
	}
	if err != nil {
		return tally{}, err
	}
	return tally{rev, binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])}, nil
}

func formatRecord(version int) string { return formatText + strconv.Itoa(version) }

func parseFormat(record string) (int, error) {
	text, ok := strings.CutPrefix(record, formatText)
	version, err := strconv.Atoi(text)
	if !ok || err != nil || version < 1 {
		return 0, fmt.Errorf("format record %.40q", record)
	}
	return version, nil
}
