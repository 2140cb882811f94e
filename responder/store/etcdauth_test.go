package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/xdpxe/xdpxe/responder/store/etcdtest"
)

// Certificates of both sides.
func TestEtcdTLS(t *testing.T) {
	t.Parallel()
	ca, foreign := etcdtest.NewCA(t), etcdtest.NewCA(t)
	cert, key := ca.Issue("server", etcdtest.Host())
	server := etcdtest.Start(t, "--cert-file="+cert, "--key-file="+key, "--trusted-ca-file="+ca.File, "--client-cert-auth")
	mine, mineKey := ca.Issue("xdpxe")
	stranger, strangerKey := foreign.Issue("stranger")
	at := []string{server.URL}

	e := openEtcd(t, EtcdConfig{Endpoints: at, CA: ca.File, Cert: mine, Key: mineKey})
	rev := commit(t, e, put("a", "1"))
	changes, err := e.Watch(testContextFor(t), "", rev-1)
	must(t, err)
	receive(t, changes, 1)

	for name, c := range map[string]struct {
		config EtcdConfig
		says   string
	}{
		"server of another CA": {EtcdConfig{Endpoints: at, CA: foreign.File, Cert: mine, Key: mineKey}, "certificate signed by unknown authority"},
		"no certificate":       {EtcdConfig{Endpoints: at, CA: ca.File}, ""},
		"unknown certificate":  {EtcdConfig{Endpoints: at, CA: ca.File, Cert: stranger, Key: strangerKey}, ""},
		"http":                 {EtcdConfig{Endpoints: []string{strings.Replace(server.URL, "https", "http", 1)}}, ""},
	} {
		e := openEtcd(t, c.config)
		_, err := e.Commit(testContextFor(t), nil, []Write{put("a", "2")})
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	want(t, "items", text(listed(t, e, ""), rev), "a=1@0")

	// A renewed certificate is used without a restart.
	renewed, renewedKey := ca.Issue("renewed")
	must(t, os.Rename(renewed, mine))
	must(t, os.Rename(renewedKey, mineKey))
	server.Restart()
	commitSoon(t, e, put("a", "3"))
	if err := os.Remove(mine); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	eventually(t, "an error that names the certificate", func() bool {
		_, err := e.Commit(testContextFor(t), nil, []Write{put("a", "4")})
		return err != nil && strings.Contains(err.Error(), mine)
	})
}

// root does what an operator does with etcdctl.
func root(t *testing.T, url, password string, do func(ctx context.Context, c *clientv3.Client) error) {
	t.Helper()
	config := clientv3.Config{Endpoints: []string{url}, DialTimeout: 10 * time.Second}
	if password != "" {
		config.Username, config.Password = "root", password
	}
	c, err := clientv3.New(config)
	must(t, err)
	defer c.Close()
	must(t, do(testContextFor(t), c))
}

func TestEtcdUsers(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t, "--auth-token-ttl=2")
	at := []string{server.URL}
	root(t, server.URL, "", func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.UserAdd(ctx, "root", "secret")
		must(t, err)
		_, err = c.UserGrantRole(ctx, "root", "root")
		must(t, err)
		_, err = c.RoleAdd(ctx, "xdpxe")
		must(t, err)
		_, err = c.RoleGrantPermission(ctx, "xdpxe", "/xdpxe/", clientv3.GetPrefixRangeEnd("/xdpxe/"), clientv3.PermissionType(clientv3.PermReadWrite))
		must(t, err)
		_, err = c.UserAdd(ctx, "boot", "word")
		must(t, err)
		_, err = c.UserGrantRole(ctx, "boot", "xdpxe")
		must(t, err)
		_, err = c.AuthEnable(ctx)
		return err
	})
	e := openEtcd(t, EtcdConfig{Endpoints: at, User: "boot", Password: "word"})
	rev := commit(t, e, put("a", "1"))
	changes, err := e.Watch(testContextFor(t), "", rev)
	must(t, err)

	for name, c := range map[string]struct {
		config EtcdConfig
		says   string
	}{
		"wrong password": {EtcdConfig{Endpoints: at, User: "boot", Password: "wrong"}, `check user "boot"`},
		"nobody":         {EtcdConfig{Endpoints: at}, "configure a user and password"},
		"other prefix":   {EtcdConfig{Endpoints: at, User: "boot", Password: "word", Prefix: "/other/"}, "--prefix readwrite /other/"},
	} {
		e := openEtcd(t, c.config)
		_, err := e.Commit(testContextFor(t), nil, []Write{put("a", "2")})
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if h := e.Health(); !errors.Is(h.Err, ErrUnavailable) {
			t.Errorf("%s: %v", name, h)
		}
	}

	// All tokens become void, and are lost with the server: others are got.
	root(t, server.URL, "secret", func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.AuthDisable(ctx)
		must(t, err)
		_, err = c.AuthEnable(ctx)
		return err
	})
	commitSoon(t, e, put("a", "2"))
	server.Restart()
	commitSoon(t, e, put("a", "3"))
	want(t, "changes", changesText(receive(t, changes, 2), rev), "a=2@1 a=3@2")
}

func TestEtcdConfig(t *testing.T) {
	t.Parallel()
	ca := etcdtest.NewCA(t)
	cert, key := ca.Issue("xdpxe")
	rubbish := filepath.Join(t.TempDir(), "rubbish")
	must(t, os.WriteFile(rubbish, []byte("rubbish"), 0o600))
	https := []string{"https://192.0.2.1:2379"}
	for _, c := range []struct {
		config EtcdConfig
		says   string
	}{
		{EtcdConfig{}, "no endpoints"},
		{EtcdConfig{Endpoints: []string{"192.0.2.1:2379"}}, `endpoint "192.0.2.1:2379" is no URL`},
		{EtcdConfig{Endpoints: []string{"unix:///run/etcd"}}, "is no URL"},
		{EtcdConfig{Endpoints: []string{"https://u:p@192.0.2.1"}}, "is no URL"},
		{EtcdConfig{Endpoints: []string{"http://192.0.2.1:2379", "https://192.0.2.2:2379"}}, "http and https together"},
		{EtcdConfig{Endpoints: []string{"http://192.0.2.1:2379"}, CA: ca.File}, "use https"},
		{EtcdConfig{Endpoints: []string{"http://192.0.2.1:2379"}, User: "boot", Password: "word"}, "in clear: use https"},
		{EtcdConfig{Endpoints: https, User: "boot"}, "go together"},
		{EtcdConfig{Endpoints: https, Prefix: "xdpxe"}, `prefix "xdpxe" must begin and end with /`},
		{EtcdConfig{Endpoints: https, CA: rubbish}, rubbish + " has no certificate"},
		{EtcdConfig{Endpoints: https, CA: rubbish + "y"}, rubbish + "y: no such file"},
		{EtcdConfig{Endpoints: https, Cert: cert}, "go together"},
		{EtcdConfig{Endpoints: https, Cert: cert, Key: ca.File}, ca.File},
	} {
		e, err := OpenEtcd(c.config)
		if err == nil {
			e.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), "etcd: ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.config, err, c.says)
		}
	}
	for _, good := range []EtcdConfig{
		{Endpoints: https, CA: ca.File, Cert: cert, Key: key, User: "boot", Password: "word", Prefix: "/boot/"},
		{Endpoints: []string{"http://127.0.0.1:2379", "http://localhost:2379"}, User: "boot", Password: "word"},
	} {
		openEtcd(t, good)
	}
}

// What is below the prefix may be somebody else's, or a newer xdpxe's.
func TestEtcdFormat(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	at := []string{server.URL}
	plain := func(do func(ctx context.Context, c *clientv3.Client) error) { root(t, server.URL, "", do) }
	putPlain := func(key, value string) {
		plain(func(ctx context.Context, c *clientv3.Client) error { _, err := c.Put(ctx, key, value); return err })
	}
	putPlain("/theirs/config", "x")
	e := openEtcd(t, EtcdConfig{Endpoints: at, Prefix: "/theirs/"})
	_, getErr := e.List(testContextFor(t), "", "", 0)
	_, commitErr := e.Commit(testContextFor(t), nil, []Write{put("a", "1")})
	for _, err := range []error{getErr, commitErr, e.Health().Err} {
		if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "/theirs/config") || !strings.Contains(err.Error(), "another prefix") {
			t.Error(err)
		}
	}

	// A server that was there before the newer one writes no more.
	e = openEtcd(t, EtcdConfig{Endpoints: at})
	rev := commit(t, e, put("a", "1"))
	putPlain("/xdpxe/format", "2")
	_, err := e.Commit(testContextFor(t), []Check{{"a", rev}}, []Write{put("a", "2")})
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "format \"2\", this one knows 1") {
		t.Error(err)
	}
	if h := e.Health(); !errors.Is(h.Err, ErrNewer) {
		t.Error(h)
	}
	putPlain("/xdpxe/format", "1")
	want(t, "items", text(listed(t, e, ""), rev), "a=1@0")
}

// An etcd can be set to take less than the default, and can be full.
func TestEtcdServerLimits(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t, "--max-txn-ops=10", "--quota-backend-bytes=2000000")
	e := openEtcd(t, EtcdConfig{Endpoints: []string{server.URL}})
	var writes []Write
	for i := range 11 {
		writes = append(writes, put(fmt.Sprint(i), ""))
	}
	if _, err := e.Commit(testContextFor(t), nil, writes); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "--max-txn-ops") {
		t.Error(err)
	}
	var err error
	for i := 0; i < 200 && err == nil; i++ {
		_, err = e.Commit(testContextFor(t), nil, []Write{put("a", strings.Repeat("x", 60000))})
	}
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "etcdctl alarm disarm") {
		t.Error(err)
	}
}

func TestEtcdLease(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	e := openEtcd(t, EtcdConfig{Endpoints: []string{server.URL}})
	ctx := testContextFor(t)
	base := commit(t, e, put("a", "1"))
	changes, err := e.Watch(ctx, "", base)
	must(t, err)
	short, err := e.Grant(ctx, time.Second)
	must(t, err)
	long, err := e.Grant(ctx, time.Hour)
	must(t, err)
	_, err = e.CommitLeased(ctx, short, []Check{{"short", 0}}, []Write{put("short", "1")})
	must(t, err)
	_, err = e.CommitLeased(ctx, long, nil, []Write{put("long", "1")})
	must(t, err)
	must(t, e.KeepAlive(ctx, short))
	want(t, "changes", changesText(receive(t, changes, 3), base), "short=1@1 long=1@2 -short@3")
	if err := e.KeepAlive(ctx, short); !errors.Is(err, ErrLeaseGone) || errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if _, err := e.CommitLeased(ctx, short, nil, []Write{put("b", "1")}); !errors.Is(err, ErrLeaseGone) {
		t.Error(err)
	}
	must(t, e.KeepAlive(ctx, long))
	must(t, e.Revoke(ctx, long))
	want(t, "changes", changesText(receive(t, changes, 1), base), "-long@4")
	want(t, "items", text(listed(t, e, ""), base), "a=1@0")
}
