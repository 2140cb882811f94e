package store

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/xdpxe/xdpxe/responder/store/etcdtest"
)

func openEtcd(t *testing.T, c EtcdConfig) *Etcd {
	t.Helper()
	e, err := OpenEtcd(c)
	must(t, err)
	t.Cleanup(func() { e.Close() })
	return e
}

func TestEtcd(t *testing.T) {
	server := etcdtest.Start(t)
	var n atomic.Int32
	conform(t, func(t *testing.T) Store {
		return openEtcd(t, EtcdConfig{Endpoints: []string{server.URL}, Prefix: fmt.Sprintf("/test%d/", n.Add(1))})
	})
}
