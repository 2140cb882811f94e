package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/privilege"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/control"
)

// unitFile reads the keys of xdpxe.service; keys that occur twice are joined.
func unitFile(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("xdpxe.service")
	if err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			keys[key] = strings.TrimSpace(keys[key] + " " + value)
		}
	}
	return keys
}

// The unit grants what the daemon keeps: not less, not more.
func TestUnitCapabilities(t *testing.T) {
	var want []string
	for _, c := range privilege.Needed.Caps() {
		want = append(want, c.String())
	}
	slices.Sort(want)
	unit := unitFile(t)
	for _, key := range []string{"AmbientCapabilities", "CapabilityBoundingSet"} {
		got := strings.Fields(unit[key])
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s=%v, the daemon keeps %v", key, got, want)
		}
	}
	for _, family := range []string{"AF_XDP", "AF_PACKET", "AF_NETLINK", "AF_INET", "AF_INET6", "AF_UNIX"} {
		if !slices.Contains(strings.Fields(unit["RestrictAddressFamilies"]), family) {
			t.Errorf("RestrictAddressFamilies lacks %s", family)
		}
	}
	if n, err := strconv.Atoi(unit["FileDescriptorStoreMax"]); err != nil || n < maxKept {
		t.Errorf("FileDescriptorStoreMax=%d, xdpxe keep has %d", n, maxKept)
	}
	pins := config.Default().BPFFS
	if unit["RestartKillSignal"] != "SIGUSR2" || unit["ReadWritePaths"] != "-"+pins || !strings.Contains(unit["ExecStartPre"], "mkdir -p -m 0700 "+pins+" ") {
		t.Errorf("RestartKillSignal=%s, ReadWritePaths=%s, ExecStartPre=%s", unit["RestartKillSignal"], unit["ReadWritePaths"], unit["ExecStartPre"])
	}
	if got := "/var/lib/" + unit["StateDirectory"]; got != filepath.Dir(config.DefaultStoreFile) {
		t.Errorf("StateDirectory is %s, the store %s", got, config.DefaultStoreFile)
	}
	if got := "/run/" + unit["RuntimeDirectory"]; got != filepath.Dir(control.DefaultPath) {
		t.Errorf("RuntimeDirectory is %s, the control socket %s", got, control.DefaultPath)
	}
}

func TestUnitVerifies(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze (systemd)")
	}
	text, err := os.ReadFile("xdpxe.service")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "xdpxe.service")
	// Installed programs only are no mistake of the unit's.
	text = bytes.ReplaceAll(text, []byte("/usr/local/bin/xdpxe"), []byte("/bin/true"))
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", path).CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// daemonSite is what it takes to run daemons, one after the other: the program,
// a configuration with its boot files, and a service manager.
type daemonSite struct {
	ns      namespace
	dir     string
	program string
	notify  string
	said    chan string // what the daemons tell the service manager
}

// newDaemonSite makes one. DIR in the configuration stands for its directory.
func newDaemonSite(t *testing.T, ns namespace, yaml string) *daemonSite {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "xdpxe-daemon-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &daemonSite{ns: ns, dir: dir, program: filepath.Join(dir, "xdpxe"), notify: filepath.Join(dir, "notify")}
	build := exec.Command("go", "build", "-o", s.program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // see package privilege
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	s.said = make(chan string, 1<<16)
	go s.listen(manager)
	s.configure(t, yaml)
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "a.efi"), []byte("x"), 0o644),
		os.Mkdir(filepath.Join(dir, "run"), 0o755), os.Chown(filepath.Join(dir, "run"), 65534, 65534), // RuntimeDirectory=
		os.Chmod(s.notify, 0o777), os.Chmod(dir, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// configure writes the configuration.
func (s *daemonSite) configure(t *testing.T, yaml string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "xdpxe.yaml"), []byte(strings.ReplaceAll(yaml, "DIR", s.dir)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// daemonProcess is `xdpxe serve` in a namespace, with its service manager.
type daemonProcess struct {
	*exec.Cmd
	log    *bytes.Buffer
	said   <-chan string // to the service manager
	client *control.Client
	dir    string
}

// start starts the daemon through a command line that runs the program
// appended to it, and waits until it is ready.
func (s *daemonSite) start(t *testing.T, through ...string) *daemonProcess {
	t.Helper()
	args := append([]string{"netns", "exec", string(s.ns)}, through...)
	d := &daemonProcess{
		Cmd: exec.Command("ip", append(args, s.program, "serve", "-c", filepath.Join(s.dir, "xdpxe.yaml"))...),
		log: new(bytes.Buffer), said: s.said, dir: s.dir,
		client: control.NewClient(filepath.Join(s.dir, "run", "control.sock")),
	}
	d.Stdout, d.Stderr = d.log, d.log
	d.Env = append(os.Environ(), "NOTIFY_SOCKET="+s.notify, "WATCHDOG_USEC=200000")
	for len(s.said) > 0 { // by a daemon before
		<-s.said
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.ProcessState == nil {
			d.Process.Kill()
			d.Wait()
		}
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", d.log)
		}
	})
	d.await(t, "READY=1")
	return d
}

// startDaemon starts a daemon that has a boot file for everybody.
func startDaemon(t *testing.T, ns namespace, through ...string) *daemonProcess {
	t.Helper()
	return newDaemonSite(t, ns, `interfaces: [v0]
root: DIR
control: DIR/run/control.sock
policy: {default: all}
profiles: {all: {files: {x64-uefi: a.efi}}}
`).start(t, through...)
}

// listen is the service manager: who does not listen to a daemon blocks it.
func (s *daemonSite) listen(manager *net.UnixConn) {
	var buf [4096]byte
	for {
		n, err := manager.Read(buf[:])
		if err != nil {
			return
		}
		s.said <- string(buf[:n])
	}
}

// await waits until the daemon has told its manager a state.
func (d *daemonProcess) await(t *testing.T, state string) {
	t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		select {
		case said := <-d.said:
			if strings.HasPrefix(said, state) {
				return
			}
		case <-deadline:
			t.Fatalf("the daemon never says %s", state)
		}
	}
}

// awaitStatus asks until the daemon's state is as wanted.
func (d *daemonProcess) awaitStatus(t *testing.T, what string, ok func(*control.Status) bool) *control.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := d.client.Status(ctx)
		if err == nil && ok(st) {
			return st
		}
		select {
		case <-ctx.Done():
			t.Fatalf("never %s: %v, %+v", what, err, st)
		case <-tick.C:
		}
	}
}

// giveFilesAway makes configuration and boot file another user's, and readable by nobody else.
func (d *daemonProcess) giveFilesAway(t *testing.T) {
	t.Helper()
	const somebody = 65533
	for path, mode := range map[string]os.FileMode{d.dir: 0o700, filepath.Join(d.dir, "a.efi"): 0o600, filepath.Join(d.dir, "xdpxe.yaml"): 0o600} {
		if err := errors.Join(os.Chown(path, somebody, somebody), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// editConfig changes the configuration file, which stays whose it is.
func (d *daemonProcess) editConfig(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(d.dir, "xdpxe.yaml"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("# edited\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// capabilities returns the distinct values of a line of /proc/PID/task/*/status.
func (d *daemonProcess) capabilities(t *testing.T, key string) []string {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.Process.Pid))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("%v, %v", tasks, err)
	}
	var values []string
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread ended
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, key+":"); ok {
				values = append(values, strings.Join(strings.Fields(value), " "))
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// The daemon starts, serves and follows changes with just the capabilities of
// the unit, and as root gives up all others.
func TestDaemonPrivileges(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("needs setpriv (util-linux)")
	}
	asUser := func(caps ...string) []string {
		set := "-all"
		for _, c := range caps {
			set += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
		}
		return []string{
			setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
			"--inh-caps=" + set, "--ambient-caps=" + set, "--bounding-set=" + set,
		}
	}
	for name, c := range map[string]struct {
		through []string
		uid     string
		keep    privilege.Set
		tier    string
	}{
		"user with the unit's capabilities": {asUser(strings.Fields(unitFile(t)["AmbientCapabilities"])...), "65534", privilege.Needed, "native"},
		"user with those of the socket datapath": {
			asUser(strings.Split(privilege.NeededSocket.String(), ", ")...), "65534", privilege.NeededSocket, "socket",
		},
		"root": {nil, "0", privilege.Needed, "native"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := newNamespace(t)
			d := startDaemon(t, ns, c.through...)
			keep := c.keep
			if c.uid == "0" {
				keep |= privilege.SetOf(privilege.DACReadSearch)
				if !unlimitedMemlock(t) {
					// Root that may not lift RLIMIT_MEMLOCK (a container without
					// CAP_SYS_RESOURCE) needs this to open AF_XDP sockets again.
					keep |= privilege.SetOf(privilege.Cap(unix.CAP_IPC_LOCK))
				}
			}
			needed := fmt.Sprintf("%016x", uint64(keep))
			for key, want := range map[string]string{
				"CapEff": needed, "CapPrm": needed, "CapBnd": needed, "CapInh": "0000000000000000", "CapAmb": "0000000000000000",
				"NoNewPrivs": "1", "Uid": strings.TrimSuffix(strings.Repeat(c.uid+" ", 4), " "),
			} {
				if got := d.capabilities(t, key); !slices.Equal(got, []string{want}) {
					t.Errorf("%s of its threads is %v, want %s", key, got, want)
				}
			}
			serving := func(st *control.Status) bool {
				return len(st.Interfaces) == 1 && st.Interfaces[0].Serving() && st.Interfaces[0].Tier == c.tier
			}
			before := d.awaitStatus(t, "serving by "+c.tier, serving).Interfaces[0].Index
			d.await(t, "WATCHDOG=1")

			// What is kept is what it takes to begin anew.
			ns.run(t, "ip", "link", "del", "v0")
			d.awaitStatus(t, "without its interface", func(st *control.Status) bool { return !st.Interfaces[0].Serving() })
			ns.plug(t)
			d.awaitStatus(t, "serving the new interface", func(st *control.Status) bool { return serving(st) && st.Interfaces[0].Index != before })

			if c.uid == "0" { // its files may be anybody's: it was root that was told to serve them
				d.giveFilesAway(t)
			}
			d.Process.Signal(syscall.SIGHUP)
			d.await(t, "RELOADING=1")
			d.await(t, "READY=1")
			d.awaitStatus(t, "reloaded", func(st *control.Status) bool { return st.Config.ReloadsOK == 1 })
			d.editConfig(t)
			d.awaitStatus(t, "reloaded after an edit", func(st *control.Status) bool { return st.Config.ReloadsOK == 2 })

			d.Process.Signal(syscall.SIGTERM)
			d.await(t, "STOPPING=1")
			if err := d.Wait(); err != nil {
				t.Errorf("the daemon ended with %v", err)
			}
			if warned := strings.Contains(d.log.String(), "directory of the control socket is another user's"); warned != (c.uid == "0") {
				t.Errorf("warned of the run directory, which is the user's: %v", warned)
			}
			if _, err := d.client.Status(t.Context()); !errors.Is(err, control.ErrNoDaemon) {
				t.Errorf("control socket: %v", err)
			}
		})
	}
}

// unlimitedMemlock reports whether this process may lift RLIMIT_MEMLOCK, as the daemon will try to.
func unlimitedMemlock(t *testing.T) bool {
	t.Helper()
	have, err := privilege.Have()
	if err != nil {
		t.Fatal(err)
	}
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l); err != nil {
		t.Fatal(err)
	}
	return l.Max == unix.RLIM_INFINITY || have.Has(privilege.Cap(unix.CAP_SYS_RESOURCE))
}
