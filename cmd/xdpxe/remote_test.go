package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/store/etcdtest"
)

// Another host's daemon is asked by https, with a token or a certificate.
func TestRemote(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token := write("token", "0123456789abcdef0123456789abcdef\n")
	ca := etcdtest.NewCA(t)
	cert, key := ca.Issue("server", net.IPv4(127, 0, 0, 1))
	own, ownKey := ca.Issue("alice")

	var opts api.Options
	newOffice(t, func(o *api.Options) { opts = *o })
	s, err := api.Listen(api.Config{Listen: "127.0.0.1:0", Cert: cert, Key: key, ClientCA: ca.File, TokenFile: token, Log: zap.NewNop()}, api.New(opts))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	defer work.Wait()
	defer cancel()
	url := "https://" + s.Addr().String()

	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"token", []string{"--server", url, "--ca", ca.File, "--token-file", token}, 0, "boot1 (asked)"},
		{"certificate", []string{"--server", url, "--ca", ca.File, "--cert", own, "--key", ownKey}, 0, "boot1 (asked)"},
		{"neither", []string{"--server", url, "--ca", ca.File}, 2, "give --token-file FILE, or --cert FILE and --key FILE"},
		{"wrong token", []string{"--server", url, "--ca", ca.File, "--token-file", write("other", "another")}, 2, "give --token-file FILE"},
		{"authority not known", []string{"--server", url, "--token-file", token}, 2, "unknown authority"},
		{"no token in it", []string{"--server", url, "--token-file", write("empty", "\n")}, 1, "is empty"},
		{"no such file", []string{"--server", url, "--token-file", "/nonexistent/token"}, 1, "/nonexistent/token"},
		{"no server", []string{"--token-file", token}, 1, "give --server"},
		{"no https", []string{"--server", "http://boot1"}, 1, `"http://boot1" is no URL of an API`},
		{"two daemons", []string{"--server", url, "-c", "x.yaml"}, 1, "give one of them"},
		{"nobody there", []string{"--server", "https://127.0.0.1:1"}, 2, "with api: in its configuration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := operator(t, "", append([]string{"members"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.stdout+r.stderr, c.want) || (r.stdout == "") == (c.code == fault.Fine) {
				t.Errorf("%+v, want %q", r, c.want)
			}
		})
	}
}

// The socket can be taken from the daemon's configuration.
func TestRemoteConfiguration(t *testing.T) {
	o := newOffice(t, nil)
	if r := operator(t, "", "groups", "list", "-c", racks(t, o.socket)); r.code != 0 || r.stdout != "no groups\n" {
		t.Errorf("%+v", r)
	}
	if r := operator(t, "", "groups", "list", "-c", "/nonexistent/x.yaml"); r.code != 1 || !strings.Contains(r.stderr, "/nonexistent/x.yaml") {
		t.Errorf("%+v", r)
	}
	if r := operator(t, "", "groups", "list", "-c", site(t, "rooot: x\n")); r.code != 1 || !strings.Contains(r.stderr, "xdpxe.yaml:1:1: ") {
		t.Errorf("%+v", r)
	}
}

// What a daemon cannot do is the machine's fault, and what it has no use for the user's.
func TestRemoteFaults(t *testing.T) {
	bare := newOffice(t, func(o *api.Options) { o.Catalogue = nil })
	if r := bare.run(t, "", "deploy", "list"); r.code != 1 || !strings.Contains(r.stderr, "no rule of its configuration has boot: deployed") {
		t.Errorf("no store: %+v", r)
	}
	o := newOffice(t, nil)
	if err := o.store.Close(); err != nil {
		t.Fatal(err)
	}
	r := o.run(t, "", words("deploy add --mac "+web1+" --profile linux")...)
	if r.code != 2 || !strings.Contains(r.stderr, `"xdpxe status" says what is wrong with the store`) {
		t.Errorf("store gone: %+v", r)
	}
}

// Names are as good as addresses, as long as they are one machine's.
func TestFindMachine(t *testing.T) {
	o := newOffice(t, nil)
	o.ok(t, "machines", "describe", web1, "--name", "web1")
	o.ok(t, "machines", "describe", "web1", "--note", "named by its name")
	o.ok(t, "groups", "add", "g", "web1")
	if out := o.ok(t, "groups", "show", "g"); !strings.Contains(out, "\n  "+web1+"\n") {
		t.Error(out)
	}
	o.ok(t, "machines", "describe", db1, "--name", "db")
	o.ok(t, "machines", "describe", lab3, "--name", "db")
	for arg, want := range map[string]string{
		"db":    "2 machines have the name db: " + lab3 + ", " + db1,
		"web2":  `"web2" is no hardware address`,
		"52:54": "52:54 is no hardware address of 6 or 8 bytes",
	} {
		if r := o.run(t, "", "machines", "approve", arg); r.code != 1 || !strings.Contains(r.stderr, want) {
			t.Errorf("%+v, want %q", r, want)
		}
	}
	if r := o.run(t, "", "deploy", "list", "--machine", "web2"); r.code != 1 || !strings.Contains(r.stderr, `xdpxe: --machine: "web2" is no`) {
		t.Errorf("%+v", r)
	}
}
