package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// DaemonConfig is the part of xdpxe's configuration that labs vary.
type DaemonConfig struct {
	Interface string     // default: Iface
	Datapath  string     // default: auto
	Deliver   string     // default: auto
	Attach    string     // default: auto
	Address   netip.Addr // boot server address in replies; default: the interface's
	Root      string
	TFTPPort  int    // default: 69
	Keep      bool   // runs under `xdpxe keep`: the Process is the keeper
	Guard     string // the YAML of `guard:`; default: the defaults
	More      string // YAML of other keys
	// Policy is the YAML of `policy:` and `profiles:`. Default: every client
	// gets the programs of MakeRoot.
	Policy string
}

// ServeEveryone is the default policy of labs.
const ServeEveryone = `
policy: {default: lab}
profiles:
  lab: {files: {bios: ` + BIOSProgram + `, x64-uefi: ` + UEFIProgram + `, ipxe: ` + Script + `}}
`

// Daemon is a running xdpxe.
type Daemon struct {
	*Process
	Node    *Node
	Config  string // path of the configuration file
	Control string // path of the control socket
	BPFFS   string // its bpffs, empty but for what it pins
	binary  string
	kept    bool
	http    *http.Client
	states  *Transcript
}

// StartDaemon starts `xdpxe serve` on the node and returns when it says that it is ready.
func (n *Node) StartDaemon(ctx context.Context, binary string, c DaemonConfig, lines Lines) (*Daemon, error) {
	l := n.lab
	bpffs, err := l.MountBPF(n.Role)
	if err != nil {
		return nil, err
	}
	run := l.Path(n.Role + ".run") // where it keeps its socket and what it knows of addresses
	d := &Daemon{Node: n, kept: c.Keep, Config: l.Path(n.Role + ".yaml"), Control: filepath.Join(run, "control.sock"), BPFFS: bpffs}
	if err := os.MkdirAll(run, 0o755); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := os.WriteFile(d.Config, []byte(c.yaml(d)), 0o644); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	d.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.Control)
	}}}
	return d, d.start(ctx, binary, lines)
}

// Restart starts the daemon again, after its end, with the same configuration.
func (d *Daemon) Restart(ctx context.Context, binary string, lines Lines) error {
	return d.start(ctx, binary, lines)
}

func (d *Daemon) start(ctx context.Context, binary string, lines Lines) error {
	if err := os.RemoveAll(d.Node.lab.Path(d.Node.Role + ".notify")); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	notify, err := d.Node.lab.listenNotify(d.Node.Role)
	if err != nil {
		return err
	}
	d.binary = binary
	args := []string{binary, "serve", "-c", d.Config}
	if d.kept {
		args = append([]string{binary, "keep", "--"}, args...)
	}
	d.Process, err = d.Node.Start(Command{
		Name:  "xdpxe on " + d.Node.Role,
		Args:  args,
		Env:   []string{"NOTIFY_SOCKET=" + notify.path, "GORACE=halt_on_error=1"},
		Lines: lines,
	})
	if err != nil {
		notify.close()
		return err
	}
	d.states = notify.said
	exited := d.Exited()
	go func() {
		<-exited
		notify.close()
	}()
	if _, err := d.states.Wait(ctx, "READY=1"); err != nil {
		return fmt.Errorf("lab: %s does not get ready: %w\nits log:\n%s", d.Name, err, d.Log)
	}
	return nil
}

func (c *DaemonConfig) yaml(d *Daemon) string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", key, value)
		}
	}
	line("interfaces", "["+cmp.Or(c.Interface, Iface)+"]")
	line("datapath", c.Datapath)
	line("deliver", c.Deliver)
	line("attach", c.Attach)
	if c.Address.IsValid() {
		line("address", c.Address.String())
	}
	line("root", c.Root)
	line("control", d.Control)
	line("bpffs", d.BPFFS)
	line("metrics", `{listen: ""}`)
	line("guard", c.Guard)
	tftp := "state: " + d.Node.lab.Path(d.Node.Role+".state")
	if c.TFTPPort != 0 {
		tftp += fmt.Sprintf(", port: %d", c.TFTPPort)
	}
	line("tftp", "{"+tftp+"}")
	b.WriteString(c.More)
	b.WriteString(cmp.Or(c.Policy, ServeEveryone))
	return b.String()
}

// Status is what the lab reads of `xdpxe status --json`.
type Status struct {
	PID        int
	Interfaces []struct {
		Name, State, Tier, Attach, Deliver string
		Why                                []string
		XDP                                []struct {
			Reason  string
			Packets uint64
		}
	}
	Requests []struct {
		Iface, Tier, Stage, Reason string
		Count                      uint64
	}
	TFTP struct {
		Requests, Restored, Lost uint64
		Transfers                []struct {
			File        string
			Size, Acked int64
		}
	}
	Deployments struct {
		States []struct {
			State string
			Count uint64
		}
	}
	Fleet struct {
		Members []struct {
			Name     string
			Draining bool
		}
	}
}

// Status asks the daemon for its state.
func (d *Daemon) Status(ctx context.Context) (*Status, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://xdpxe/v1/status", nil)
	if err != nil {
		return nil, err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("lab: status of %s: %w", d.Name, err)
	}
	defer resp.Body.Close()
	s := new(Status)
	if err := json.NewDecoder(resp.Body).Decode(s); err != nil {
		return nil, fmt.Errorf("lab: status of %s: %w", d.Name, err)
	}
	return s, nil
}

// Tell runs a command of xdpxe that asks the daemon, and returns what it prints.
func (d *Daemon) Tell(ctx context.Context, args ...string) (string, error) {
	return output(ctx, d.binary, append(args, "--socket", d.Control)...)
}

// Count adds up the requests that ended with a reason, at all stages and tiers.
func (s *Status) Count(reason string) (n uint64) {
	for _, r := range s.Requests {
		if r.Reason == reason {
			n += r.Count
		}
	}
	return n
}

// Leftovers lists what a daemon left behind: an XDP program on an interface of its node, pinned objects.
func (d *Daemon) Leftovers(ctx context.Context) ([]string, error) {
	var left []string
	link, err := output(ctx, "ip", "-n", d.Node.name, "-details", "link", "show")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(link) {
		if strings.Contains(line, "prog/xdp") {
			left = append(left, strings.TrimSpace(line))
		}
	}
	err = filepath.WalkDir(d.BPFFS, func(path string, e fs.DirEntry, err error) error {
		// Every bpffs has these two from the kernel; symbolic links in it are iproute2's.
		own := e != nil && (e.Name() == "maps.debug" || e.Name() == "progs.debug" || e.Type()&fs.ModeSymlink != 0)
		if err == nil && !e.IsDir() && !own {
			left = append(left, path)
		}
		return err
	})
	return left, err
}
