package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/store"
)

// storeConfig is a configuration with a store in a file of its own.
func storeConfig(t *testing.T, path string) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Store = &config.Store{File: path}
	return cfg
}

// The defaults of the configuration are those of what it configures.
func TestDeployDefaults(t *testing.T) {
	cfg := config.Default()
	if got := limitsOf(cfg); got != deploy.DefaultLimits() || cfg.Deployments.Keep != deploy.DefaultKeep {
		t.Errorf("configured %+v and %v, deploy has %+v and %v", got, cfg.Deployments.Keep, deploy.DefaultLimits(), deploy.DefaultKeep)
	}
}

// A daemon that uses no deployments has no store, and nothing of it is in the way.
func TestNoStore(t *testing.T) {
	d, err := openDeployments(t.Context(), config.Default(), "boot1", zap.NewNop())
	if d != nil || err != nil {
		t.Fatalf("%+v, %v", d, err)
	}
	d.reconfigure(config.Default())
	if err := d.close(); err != nil {
		t.Error(err)
	}
}

// A file that cannot be the store ends the daemon with 2, and says what to do;
// nothing is changed in it.
func TestStoreFileFaults(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good.db")
	b, err := store.OpenBolt(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Commit(t.Context(), nil, []store.Write{{Key: "k", Value: []byte("v")}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"torn":    {string(content[:len(content)/2]), []string{"the file is torn", "mv DIR/x.db DIR/x.db.torn"}},
		"foreign": {strings.Repeat("SQLite format 3\x00", 4096), []string{"not a store of xdpxe's", "nothing was changed in it; give xdpxe another file"}},
	} {
		t.Run(name, func(t *testing.T) {
			yaml := site(t, labYAML+"store: {file: DIR/x.db}\n", labFiles...)
			dir := filepath.Dir(yaml)
			text, err := os.ReadFile(yaml)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "x.db")
			if err := os.WriteFile(yaml, []byte(strings.ReplaceAll(string(text), "DIR", dir)), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			r := xdpxe(t, "serve", "-c", yaml)
			if r.code != fault.MachineCode {
				t.Errorf("exit %d", r.code)
			}
			for _, want := range c.want {
				if want = strings.ReplaceAll(want, "DIR", dir); !strings.Contains(r.stderr, want) {
					t.Errorf("stderr %q, want %q in it", r.stderr, want)
				}
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != c.content {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

// A file that another daemon has is waited for, as it may be ending, and then is
// the machine's fault; one that it lets go of meanwhile is taken.
func TestStoreFileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	other, err := store.OpenBolt(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = openDeployments(ended, storeConfig(t, path), "boot1", zap.NewNop()); !errors.Is(err, context.Canceled) {
		t.Errorf("told to stop while it waits: %v", err)
	}
	_, err = openFile(t.Context(), path, 50*time.Millisecond, zap.NewNop())
	if err == nil || fault.Code(classify(err)) != fault.MachineCode || !strings.Contains(err.Error(), "stop it, or give this one another file") {
		t.Fatalf("%v", err)
	}

	type opened struct {
		d   *deployments
		err error
	}
	done := make(chan opened, 1)
	go func() {
		d, err := openDeployments(t.Context(), storeConfig(t, path), "boot1", zap.NewNop())
		done <- opened{d, err}
	}()
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	o := <-done
	if o.err != nil {
		t.Fatal(o.err)
	}
	if err := o.d.close(); err != nil {
		t.Error(err)
	}
}

// What was deployed is there after a restart, and is known before anybody is answered.
func TestDeploymentsSurvive(t *testing.T) {
	cfg := storeConfig(t, filepath.Join(t.TempDir(), "new", "x.db"))
	open := func() *deployments {
		d, err := openDeployments(t.Context(), cfg, "boot1", zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		d.follow(t.Context(), cfg, func() {}, nil)
		return d
	}
	d := open()
	mac, err := deploy.ParseIdentity("52:54:00:00:00:01")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.catalogue.Approve(t.Context(), mac, 0, "linux", "tester", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	d = open()
	defer d.close()
	if m, ok := d.catalogue.Snapshot().Machine(mac); !ok || m.Approved == nil || m.Approved.Profile != "linux" {
		t.Errorf("%+v, %v", m, ok)
	}
}

// What is wrong with an etcd's configuration is found at its place, by check and
// by serve, and no etcd is needed for that.
func TestEtcdMistakes(t *testing.T) {
	for etcd, want := range map[string]string{
		"{endpoints: [http://192.0.2.1:2379], user: u, password-file: PASSWORD}":         ":15:9: store.etcd: etcd: endpoint \"http://192.0.2.1:2379\": the password would go over the network in clear: use https",
		"{endpoints: [https://192.0.2.1:2379], ca: /nonexistent/ca}":                     ":15:9: store.etcd: etcd: CA: open /nonexistent/ca: no such file or directory",
		"{endpoints: [https://192.0.2.1:2379], user: u, password-file: /nonexistent/pw}": ": store.etcd.password-file: open /nonexistent/pw: no such file or directory (a file with the password in its first line)",
	} {
		password := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		path := site(t, labYAML+"store: {etcd: "+strings.ReplaceAll(etcd, "PASSWORD", password)+"}\n", labFiles...)
		for _, command := range [][]string{{"check", "-c", path}, {"serve", "-c", path}} {
			if r := xdpxe(t, command...); r.code != fault.UserCode || !strings.Contains(r.stderr, want) {
				t.Errorf("%v: %+v, want %q", command, r, want)
			}
		}
	}
}
