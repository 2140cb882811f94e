package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/api/client"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/store/etcdtest"
)

// The API on TCP is the one on the control socket, over what the daemon has. A
// reload reads the token anew.
func TestAPIOnTCP(t *testing.T) {
	ca := etcdtest.NewCA(t)
	cert, key := ca.Issue("server", etcdtest.Host())
	token := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(token, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const first, second = "0123456789abcdef", "fedcba9876543210"
	write(first)
	text := "store: {file: DIR/x.db}\npolicy: {default: deployed}\napi: {listen: \"" + etcdtest.Host().String() + ":0\", cert: " + cert + ", key: " + key + ", token-file: " + token + "}\n"
	d, _ := keptDaemon(t, &text)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d.group = new(errgroup.Group)
	if err := d.serveAPI(ctx, d.apiHandler()); err != nil {
		t.Fatal(err)
	}
	ask := func(token string) *client.Client {
		t.Helper()
		c, err := client.New(client.Config{URL: "https://" + d.api.Addr().String(), CA: ca.File, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	c := ask(first)
	if p, err := c.Profiles(t.Context()); err != nil || len(p) != 1 || p[0].Name != "web" {
		t.Errorf("profiles %+v, %v", p, err)
	}
	e, err := c.Explain(t.Context(), api.Query{MAC: web1, Arch: "x64-uefi-http"})
	if err != nil || e.Answered || e.Reason != "nothing_deployed" || len(e.Steps) == 0 {
		t.Errorf("explained %+v, %v", e, err)
	}
	if _, err := c.Explain(t.Context(), api.Query{MAC: "zz", Arch: "bios"}); err == nil || !strings.Contains(err.Error(), "mac") {
		t.Errorf("a bad address: %v", err)
	}
	if _, err := c.Deploy(t.Context(), api.NewDeployment{Target: deploy.Target{MAC: identity(t, web1)}, Profile: "wap"}); err == nil || !strings.Contains(err.Error(), "wap") {
		t.Errorf("a deployment with a profile that there is not: %v", err)
	}

	write(second)
	if err := reloadKept(t, d); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(first).Profiles(t.Context()); err == nil {
		t.Error("the old token is still good")
	}
	if m, err := ask(second).Members(t.Context()); err != nil || m.Self != d.name || m.Fleet {
		t.Errorf("%+v, %v", m, err)
	}
	cancel()
	if err := d.group.Wait(); err != nil {
		t.Error(err)
	}
}
