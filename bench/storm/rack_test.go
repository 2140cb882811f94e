package storm

import (
	"bytes"
	"context"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/arrival"
	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/port"
)

const patience = time.Minute

var buildDir string

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("XDPXE_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(buildDir, "xdpxe")
	cmd := exec.Command("go", "build", "-o", path, "github.com/xdpxe/xdpxe/cmd/xdpxe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return path, cmd.Run()
})

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "xdpxe-storm-"); err != nil {
		panic(err)
	}
	labtest.RemoveOnSignal(func() { os.RemoveAll(buildDir) })
	code := m.Run()
	os.RemoveAll(buildDir)
	os.Exit(code)
}

// rig is a rack with xdpxe beside a plain DHCP server, and a port for machines.
func rig(ctx context.Context, t *testing.T, topology lab.Topology, kind port.Kind, tftp int) port.Port {
	t.Helper()
	labtest.Need(t, false)
	binary, err := build()
	if err != nil {
		t.Fatalf("build xdpxe: %v", err)
	}
	r, root := labtest.Rack(ctx, t, topology)
	for name, size := range map[string]int{"nbp": 20000, "vmlinuz": 60000, "initrd.img": 100 * 1432, "Boot/BCD": 3000, "boot/boot.sdi": 40000, "sources/boot.wim": 200000} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, bytes.Repeat([]byte{7}, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	node, err := r.AddBootServer()
	if err != nil {
		t.Fatal(err)
	}
	d, err := node.StartDaemon(ctx, binary, lab.DaemonConfig{Root: root, TFTPPort: tftp, Policy: `
policy: {default: all}
profiles:
  all: {files: {bios: nbp, x64-uefi: nbp, ipxe: nbp, x64-uefi-http: "http://192.0.2.10/boot.efi"}}
`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	labtest.ShowOnFailure(t, d.Process)
	if topology == lab.Relayed {
		if _, err := r.StartRelay(ctx, []netip.Addr{r.DHCP.Addr, node.Addr}, nil); err != nil {
			t.Fatal(err)
		}
	}
	machines, err := r.AddClient("machines")
	if err != nil {
		t.Fatal(err)
	}
	if kind == port.Packet {
		// What the server leaves to the receiver to cut up, the switch has to.
		if err := machines.Switch.OffloadsOff(machines.Port, "tx-udp-segmentation"); err != nil {
			t.Fatal(err)
		}
	}
	var p port.Port
	if err := machines.Do(func() (err error) {
		p, err = port.Open(port.Options{Interface: lab.Iface, Kind: kind})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// inARack are the built-in profiles, four times as fast, but for the Raspberry
// Pi: nobody offers it what it wants, and it need not wait for that for long.
func inARack(t *testing.T, mix string, n int) []*Profile {
	t.Helper()
	all, err := LoadProfiles("")
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range all {
		all[name] = p.Hurry(4)
	}
	all["raspberry-pi"].Discover.Waits = []time.Duration{500 * time.Millisecond, 500 * time.Millisecond}
	shares, err := all.ParseMix(mix)
	if err != nil {
		t.Fatal(err)
	}
	return Deal(shares, n)
}

// Machines of all profiles boot through xdpxe, beside a DHCP server, behind a
// router or not, with either kind of port.
func TestRack(t *testing.T) {
	for _, c := range []struct {
		topology lab.Topology
		kind     port.Kind
	}{{lab.Flat, port.XDP}, {lab.Relayed, port.Packet}} {
		t.Run(c.topology.String()+" "+c.kind.String(), func(t *testing.T) {
			ctx := labtest.Context(t, patience)
			p := rig(ctx, t, c.topology, c.kind, 69)
			r, err := Run(ctx, p, Options{Profiles: inARack(t, "edk2,edk2-2016,bios,ipxe,http,windows,raspberry-pi", 21), First: 1, Deadline: patience,
				Arrival: arrival.Pattern{Ramp: 500 * time.Millisecond}})
			if err != nil {
				t.Fatal(err)
			}
			type ending struct{ profile, failure, url string }
			got := map[ending]int{}
			for _, m := range r.Machines {
				got[ending{m.Profile.Name, m.Failure, m.URL}]++
				bytes := map[string]uint64{"edk2": 20000, "edk2-2016": 20000, "bios": 20000, "ipxe": 20000 + 60000 + 143200, "windows": 20000 + 243000}[m.Profile.Name]
				if m.Bytes != bytes || m.Failure == "" && (m.Acked < m.Offered || m.NBP < m.Acked || m.Image < m.NBP || m.Ended != m.Image) {
					t.Errorf("%s: %d bytes, want %d; %+v", m.Profile.Name, m.Bytes, bytes, m.Outcome)
				}
				if m.Profile.Name == "windows" && m.Missing != 1 {
					t.Errorf("windows: %d optional files missing, want its font", m.Missing)
				}
			}
			want := map[ending]int{
				{profile: "edk2"}: 3, {profile: "edk2-2016"}: 3, {profile: "bios"}: 3, {profile: "ipxe"}: 3, {profile: "windows"}: 3,
				{profile: "http", url: "http://192.0.2.10/boot.efi"}:                                                        3,
				{profile: "raspberry-pi", failure: `offer refused: raspberry-pi: no text "Raspberry Pi Boot" in option 43`}: 3,
			}
			if !maps.Equal(got, want) {
				t.Errorf("%v\nwant %v", got, want)
			}
			if r.Lost+r.SendErrors+r.Oversize+r.SameAddress != 0 || len(r.Silent) != 0 {
				t.Errorf("lost %d, not sent %d, oversize %d, same address %d, silent %v", r.Lost, r.SendErrors, r.Oversize, r.SameAddress, r.Silent)
			}
			rows := r.Rows()
			if f, _ := rows[0].Figure("booted"); rows[0].Name != everyone || len(rows) != 8 || f.Value != 18.0/21 {
				t.Errorf("rows: %+v", rows)
			}
		})
	}
}

// Nobody listens on the file server's port: the kernel says so by ICMP, which
// ends a UEFI machine's boot; iPXE does not listen to ICMP.
func TestNoFileServer(t *testing.T) {
	ctx := labtest.Context(t, patience)
	p := rig(ctx, t, lab.Flat, port.XDP, 1069)
	profiles := inARack(t, "edk2,ipxe", 4)
	for _, p := range profiles {
		p.TFTP.Wait, p.TFTP.Tries = 50*time.Millisecond, 3
	}
	r, err := Run(ctx, p, Options{Profiles: profiles, First: 1, Deadline: patience})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range r.Machines {
		want := map[string]string{"edk2": "NBP: ICMP unreachable", "ipxe": "NBP: timeout"}[m.Profile.Name]
		if m.Failure != want {
			t.Errorf("%s: %q, want %q", m.Profile.Name, m.Failure, want)
		}
	}
}

// The deadline ends machines wherever they are, also those that were never switched on.
func TestDeadline(t *testing.T) {
	ctx := labtest.Context(t, patience)
	labtest.Need(t, false)
	l := labtest.New(t)
	ns, err := l.Namespace("machines")
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Veth("near", ns, "far"); err != nil {
		t.Fatal(err)
	}
	var p port.Port
	if err := ns.Do(func() (err error) {
		p, err = port.Open(port.Options{Interface: "near", Kind: port.Packet})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r, err := Run(ctx, p, Options{Profiles: inARack(t, "edk2", 2), First: 1, Deadline: 300 * time.Millisecond, Arrival: arrival.Pattern{Ramp: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := r.Machines[0].Failure, r.Machines[1].Failure; a != "deadline, waiting for offers" || b != "deadline, not switched on" {
		t.Errorf("%q and %q", a, b)
	}
}
