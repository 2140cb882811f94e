package bootfile

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/binding"
	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/history"
	"github.com/xdpxe/xdpxe/responder/policy"
	"github.com/xdpxe/xdpxe/responder/store"
	"github.com/xdpxe/xdpxe/responder/tftp"
	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

// patience is more than anything here takes.
const patience = 30 * time.Second

// names is a table of bindings; who is not in it is nobody.
type names map[netip.Addr]binding.Machine

func (n names) Who(a netip.Addr, _ time.Time) (binding.Machine, bool) {
	m, ok := n[a]
	return m, ok
}

var (
	home  = netip.MustParseAddr("127.0.0.1")
	other = netip.MustParseAddr("127.0.0.2")
	third = netip.MustParseAddr("127.0.0.3")

	macA = deploy.HardwareIdentity([]byte{2, 0, 0, 0, 0, 0xa})
	macB = deploy.HardwareIdentity([]byte{2, 0, 0, 0, 0, 0xb})
	uuid = deploy.UUIDIdentity([]byte{0x4c, 0x4c, 0x45, 0x44, 0, 0x44, 0x48, 0x10, 0x80, 0x31, 0xb4, 0xc0, 0x4f, 0x4a, 0x4e, 0x31})
)

// files is what is below the root of a bed.
func files() map[string]string {
	return map[string]string{
		"pxe/linux.0": strings.Repeat("boot program", 1000) + ".", "linux/vmlinuz": strings.Repeat("kernel", 5000), "linux/Initrd": "initrd",
		"win/boot.efi": "windows", "win/boot.wim": "image", "secret/key": "key", "boot.ipxe": "#!ipxe\n",
	}
}

func settings(t testing.TB, strict bool) Settings {
	t.Helper()
	p, err := policy.Compile(policy.Spec{Profiles: map[string]policy.Profile{
		"linux":   {Files: map[string]string{"bios": "pxe/linux.0", "ipxe": "boot.ipxe"}, Allow: []string{"linux/*"}},
		"windows": {Files: map[string]string{"x64-uefi": "win/boot.efi"}, Allow: []string{"win/*"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return Settings{Policy: p, Strict: strict}
}

// timeline keeps the transfers that it hears of.
type timeline struct {
	mu   sync.Mutex
	all  []history.FileTransfer
	more chan struct{} // has a token when there is more
}

func (l *timeline) Transfer(t *history.FileTransfer, _ time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, *t)
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// await returns what was heard of a file with an outcome.
func (l *timeline) await(t *testing.T, file, outcome string) history.FileTransfer {
	t.Helper()
	late := time.After(patience)
	for {
		l.mu.Lock()
		i := slices.IndexFunc(l.all, func(h history.FileTransfer) bool { return h.File == file && h.Outcome == outcome })
		if i >= 0 {
			defer l.mu.Unlock()
			return l.all[i]
		}
		l.mu.Unlock()
		select {
		case <-l.more:
		case <-late:
			t.Fatalf("nothing was heard of %s that was %s", file, outcome)
		}
	}
}

// catalogue is one on a file of its own, which runs.
func catalogue(t testing.TB) (c *deploy.Catalogue, changed <-chan struct{}) {
	t.Helper()
	s, err := store.OpenBolt(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	tell := make(chan struct{}, 1)
	c = deploy.New(deploy.Config{Store: s, Changed: func() {
		select {
		case tell <- struct{}{}:
		default:
		}
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-c.Ready():
	case <-time.After(patience):
		t.Fatal("the store is not read")
	}
	return c, tell
}

func create(t testing.TB, c *deploy.Catalogue, ds ...deploy.Deployment) {
	t.Helper()
	made, err := c.Create(t.Context(), ds, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range made {
		if m.Err != nil {
			t.Fatal(m.Err)
		}
	}
}

// awaitRun waits until a run is as it should be.
func awaitRun(t *testing.T, c *deploy.Catalogue, changed <-chan struct{}, run deploy.RunID, ok func(deploy.Run) bool) deploy.Run {
	t.Helper()
	late := time.After(patience)
	look := time.NewTicker(50 * time.Millisecond) // what decides nothing is not told
	defer look.Stop()
	for {
		r := c.Snapshot().Run(run, time.Now())
		if ok(r) {
			return r
		}
		select {
		case <-changed:
		case <-look.C:
		case <-late:
			t.Fatalf("the run is %+v", r)
		}
	}
}

func in(s deploy.State) func(deploy.Run) bool {
	return func(r deploy.Run) bool { return r.State == s }
}

// bed is a file server with a gate.
type bed struct {
	t     *testing.T
	dir   string
	root  *content.Root
	gate  *Gate
	heard timeline
	addr  netip.AddrPort
	cfg   tftp.Config
	stop  func()
}

func newBed(t *testing.T, c Config, s Settings, extra map[string]string) *bed {
	t.Helper()
	b := &bed{t: t, dir: t.TempDir(), heard: timeline{more: make(chan struct{}, 1)}}
	for name, text := range files() {
		b.write(name, text)
	}
	for name, text := range extra {
		b.write(name, text)
	}
	var err error
	if b.root, err = content.Open(b.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.root.Close() })
	c.Server, c.History = "srv1", &b.heard
	b.gate = New(c, s)
	// Longer than any exchange here takes.
	b.cfg = tftp.Config{Workers: 1, Addrs: []netip.Addr{home}, MinTimeout: time.Second, Gate: b.gate}
	return b
}

func (b *bed) write(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

// run serves until the test ends or stop is called.
func (b *bed) run() *bed {
	b.t.Helper()
	s, err := tftp.Listen(b.cfg, b.root)
	if err != nil {
		b.t.Fatal(err)
	}
	b.addr = netip.AddrPortFrom(home, uint16(s.Port()))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Serve: %v", err)
		}
	})
	b.t.Cleanup(b.stop)
	return b
}

// get fetches a file from an address, and fails the test unless it gets that.
func (b *bed) get(from netip.Addr, name, want string) {
	b.t.Helper()
	got, err := b.fetch(from, name)
	if err != nil || got != want {
		b.t.Errorf("%s: got %.80q, %v; want %.80q", name, got, err, want)
	}
}

func (b *bed) fetch(from netip.Addr, name string) (string, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	var into bytes.Buffer
	c := tftptest.Client{Server: b.addr, Local: netip.AddrPortFrom(from, 0), Retry: 10 * time.Second}
	_, err := c.Get(ctx, tftptest.Request{Name: name, Tsize: true, Blksize: 1000, Window: 4}, &into)
	return into.String(), err
}

// refused fetches a file and checks the ERROR.
func (b *bed) refused(from netip.Addr, name string, code uint16, text string) {
	b.t.Helper()
	got, err := b.fetch(from, name)
	var e *tftptest.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Text, text) {
		b.t.Errorf("%s: got %.80q, %v; want ERROR %d with %q", name, got, err, code, text)
	}
}

// keeper keeps sockets from one server to the next.
type keeper struct {
	mu   sync.Mutex
	held map[string]int
}

func newKeeper(t testing.TB) *keeper {
	k := &keeper{held: map[string]int{}}
	t.Cleanup(func() {
		for _, fd := range k.held {
			unix.Close(fd)
		}
	})
	return k
}

func (k *keeper) Take(prefix string) map[string]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]int{}
	for name, fd := range k.held {
		if d, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err == nil && strings.HasPrefix(name, prefix) {
			out[name] = d
		}
	}
	return out
}

func (k *keeper) Store(name string, fd int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	d, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		k.held[name] = d
	}
	return err
}

func (k *keeper) Remove(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer delete(k.held, name)
	return unix.Close(k.held[name])
}
