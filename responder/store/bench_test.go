package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/responder/store/etcdtest"
)

// deployments is 10,000 of them, each with a record of 600 bytes and one by its
// machine, neither of which may be there.
func deployments() []Txn {
	value := []byte(strings.Repeat("x", 600))
	txns := make([]Txn, 10_000)
	for i := range txns {
		id, mac := fmt.Sprintf("deployment/%032x", i*7919), fmt.Sprintf("machine/525400%06x", i)
		txns[i] = Txn{[]Check{{Key: id}, {Key: mac}}, []Write{{Key: id, Value: value}, {Key: mac, Value: []byte(id)}}}
	}
	return txns
}

// benchmarkBulk times the one call, each on a new store.
func benchmarkBulk(b *testing.B, open func(i int) (Store, error)) {
	txns := deployments()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		s, err := open(i)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		for _, r := range s.Bulk(b.Context(), txns) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
}

func BenchmarkBulk10000(b *testing.B) {
	b.Run("bolt", func(b *testing.B) {
		benchmarkBulk(b, func(int) (Store, error) { return OpenBolt(b.Context(), filepath.Join(b.TempDir(), "xdpxe.db")) })
	})
	b.Run("etcd", func(b *testing.B) {
		server := etcdtest.Start(b)
		benchmarkBulk(b, func(i int) (Store, error) {
			return OpenEtcd(EtcdConfig{Endpoints: []string{server.URL}, Prefix: fmt.Sprintf("/%d/", i)})
		})
	})
}

// Opening walks the whole file.
func BenchmarkOpen100000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "xdpxe.db")
	s, err := OpenBolt(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	txns := make([]Txn, 100_000)
	for i := range txns {
		txns[i].Writes = []Write{{Key: fmt.Sprintf("deployment/%032x", i*7919), Value: []byte(strings.Repeat("x", 600))}}
	}
	for _, r := range s.Bulk(b.Context(), txns) {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	s.Close()
	for b.Loop() {
		s, err := OpenBolt(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
