package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/peers"
	"github.com/xdpxe/xdpxe/bench/result"
)

// Rig measures: one server and one load, each in a network namespace, with one
// cable between them.
type Rig struct {
	Programs  peers.Programs
	ServerCPU string // CPUs of the server, as taskset(1) has them; "": any
	ClientCPU string // of the load
}

// cable is the interface that both have to each other.
const cable = "cable0"

var (
	serverAddr = netip.MustParsePrefix("192.0.2.10/24") // RFC 5737
	clientAddr = netip.MustParsePrefix("192.0.2.1/24")
	clientNet  = netip.MustParsePrefix("192.0.2.128/25")
	netmask    = netip.MustParseAddr("255.255.255.0")
)

// Boot files.
const (
	bootFile = "boot.efi"
	bootSize = 64 << 10
)

// bench is one laid measurement.
type bench struct {
	lab             *lab.Lab
	server, clients *lab.Namespace
	vars            peers.Vars
}

// Measure does a work on a peer (Comparison.Measure).
func (r *Rig) Measure(ctx context.Context, w Work, p *peers.Peer) (run *result.Run, err error) {
	err = r.with(ctx, w, p, func(b *bench, server *peers.Server) (err error) {
		run, err = r.load(ctx, b, r.place(w).load, w.Load(Target{Interface: cable, Address: serverAddr.Addr(), Clients: clientNet, File: b.vars.File,
			Path: filepath.Join(b.vars.Root, b.vars.File), Pid: server.Pid(), Kind: p.Kind, Subject: p.Recipe.Name == Subject}))
		if err == nil {
			run.Settings = append(run.Settings, result.Setting{Name: ServerSetting, Value: asStarted(server)})
		}
		return err
	})
	return run, err
}

// asStarted is how a server was started and set up.
func asStarted(s *peers.Server) string {
	command := strings.Join(s.Command, " ")
	if s.About != "" {
		command += " # " + s.About
	}
	return command
}

// with calls f while the peer serves, and takes everything away again. That the
// server ended meanwhile is an error too.
func (r *Rig) with(ctx context.Context, w Work, p *peers.Peer, f func(b *bench, server *peers.Server) error) error {
	b, err := r.lay(w)
	if err != nil {
		return err
	}
	server, err := p.Start(ctx, b.server, b.vars, pin(r.place(w).server)...)
	if err == nil {
		err = errors.Join(f(b, server), server.Stop())
	}
	return errors.Join(err, b.lab.Close())
}

// lay makes the namespaces, the cable and the boot files.
func (r *Rig) lay(w Work) (b *bench, err error) {
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	b = &bench{lab: l}
	if b.server, err = l.Namespace("server"); err != nil {
		return nil, err
	}
	if b.clients, err = l.Namespace("clients"); err != nil {
		return nil, err
	}
	if err := b.clients.Veth(cable, b.server, cable); err != nil {
		return nil, err
	}
	if err := b.poll(w); err != nil {
		return nil, err
	}
	if err := b.server.IP("addr", "add", serverAddr.String(), "brd", "+", "dev", cable); err != nil {
		return nil, err
	}
	if err := b.clients.IP("addr", "add", clientAddr.String(), "brd", "+", "dev", cable); err != nil {
		return nil, err
	}
	b.vars = peers.Vars{Programs: r.Programs, Interface: cable, Address: serverAddr.Addr(), Network: serverAddr.Masked().Addr(), Netmask: netmask,
		Port: 69, Root: l.Path("root"), File: bootFile, Dir: l.Path("peer")}
	for _, dir := range []string{b.vars.Root, b.vars.Dir} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("compare: %w", err)
		}
	}
	if b.vars.BPFFS, err = l.MountBPF("peer"); err != nil {
		return nil, err
	}
	return b, writeFile(filepath.Join(b.vars.Root, bootFile), max(w.Size, bootSize))
}

// poll makes the ends of the cable poll where what comes from the other end by
// XDP is lost else. The load's own program makes its end poll, too, but a server
// that sends by XDP_TX looks before that is there.
func (b *bench) poll(w Work) error {
	var ends []*lab.Namespace
	if w.Kind == peers.DHCP {
		ends = append(ends, b.clients)
	}
	if w.Live {
		ends = append(ends, b.server)
	}
	for _, end := range ends {
		if err := end.Run("ethtool", "-K", cable, "gro", "on"); err != nil {
			return err
		}
	}
	return nil
}

// writeFile makes a file in which no two blocks are the same: blocks that were
// mixed up would be found.
func writeFile(path string, size int64) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	random := rand.NewChaCha8([32]byte{})
	for chunk := make([]byte, 1<<20); size > 0; {
		n := min(size, int64(len(chunk)))
		random.Read(chunk[:n])
		if _, err := f.Write(chunk[:n]); err != nil {
			return fmt.Errorf("compare: %w", err)
		}
		size -= n
	}
	return nil
}

// places are the CPUs of both sides, as taskset(1) has them; "": any.
type places struct{ server, load string }

// place says where a work's server and load run.
func (r *Rig) place(w Work) places {
	if r.ServerCPU != "" || r.ClientCPU != "" || !w.Apart || runtime.NumCPU() < 2 {
		return places{r.ServerCPU, r.ClientCPU}
	}
	return places{server: "1", load: "0"}
}

// pin is the beginning of a command that is to keep to some CPUs.
func pin(cpus string) []string {
	if cpus == "" {
		return nil
	}
	return []string{"taskset", "-c", cpus}
}

// load runs the load generator, as a user would, and reads what it found.
func (r *Rig) load(ctx context.Context, b *bench, cpus string, args []string) (*result.Run, error) {
	command := append(pin(cpus), append([]string{r.Programs.Bench}, append(args, "--json", "--quiet")...)...)
	var stdout bytes.Buffer
	p, err := b.clients.Start(lab.Command{Name: "load", Args: command, Stdout: &stdout})
	if err != nil {
		return nil, err
	}
	if err := p.Wait(ctx); err != nil {
		return nil, fmt.Errorf("load: %w\n%s: %s", err, strings.Join(command, " "), p.Log)
	}
	run := new(result.Run)
	if err := json.Unmarshal(stdout.Bytes(), run); err != nil {
		return nil, fmt.Errorf("load: %s: its result: %w", strings.Join(command, " "), err)
	}
	if run.Schema != result.Schema {
		return nil, fmt.Errorf("load: %s: its result has schema %d, not %d", r.Programs.Bench, run.Schema, result.Schema)
	}
	run.Command = command
	return run, nil
}
