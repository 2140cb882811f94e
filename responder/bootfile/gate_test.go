package bootfile

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/binding"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/policy"
	"github.com/xdpxe/xdpxe/responder/tftp"
	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

// ask asks the gate about one file.
func (b *bed) ask(from netip.Addr, name string) tftp.Grant {
	return b.gate.Open(tftp.Opening{Client: netip.AddrPortFrom(from, 2070), Server: home, Name: name, ID: "id", Root: b.root})
}

// TestStrictFiles is the table of who may have what.
func TestStrictFiles(t *testing.T) {
	cat, _ := catalogue(t)
	create(t, cat, deploy.Deployment{ID: "win", Target: deploy.Target{MAC: macB}, Profile: "windows"})
	fourth := netip.MustParseAddr("127.0.0.4")
	people := names{
		home:  {MAC: macA, Profile: "linux"},
		other: {MAC: macB, Profile: "linux", Deployment: "win"}, // its deployment's profile counts
		third: {MAC: macA},                                      // was never answered
		// fourth is nobody: an address of two machines, or one that never asked.
	}
	b := newBed(t, Config{Names: people, Catalogue: cat}, settings(t, true), map[string]string{"linux/x.cfg.tmpl": "x"})
	for _, c := range []struct {
		name     string
		from     netip.Addr
		file     string
		may      bool
		unstrict bool
	}{
		{"own boot file", home, "pxe/linux.0", true, true},
		{"own boot file, as firmware spells it", home, `\PXE\LINUX.0`, true, true},
		{"own script for iPXE", home, "boot.ipxe", true, true},
		{"allowed", home, "linux/vmlinuz", true, true},
		{"allowed, in another case", home, "/Linux/INITRD", true, true},
		{"allowed, made from a template", home, "linux/x.cfg", true, true},
		{"another profile's boot file", home, "win/boot.efi", false, true},
		{"another profile's image", home, "win/boot.wim", false, true},
		{"nobody's", home, "secret/key", false, true},
		{"not there", home, "secret/none", false, true},
		{"a detour", home, "linux/../secret/key", true, true}, // the file server refuses it
		{"the deployment's boot file", other, "win/boot.efi", true, true},
		{"the deployment's image", other, "win/boot.wim", true, true},
		{"of the profile without it", other, "pxe/linux.0", false, true},
		{"never answered", third, "pxe/linux.0", false, true},
		{"not known", fourth, "pxe/linux.0", false, true},
		{"not known, not there", fourth, "none", false, true},
		{"the way to the disk", home, policy.ExitScript, true, true},
		{"not known, the way to the disk", fourth, policy.ExitScript, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.gate.Set(settings(t, true))
			g := b.ask(c.from, c.file)
			if may := g.How == 0; may != c.may || !may && (g.How != tftp.Refused || g.Text == "") {
				t.Errorf("strict: %+v, want leave %v", g, c.may)
			}
			b.gate.Set(settings(t, false))
			if g := b.ask(c.from, c.file); (g.How == 0) != c.unstrict {
				t.Errorf("else: %+v, want leave %v", g, c.unstrict)
			}
		})
	}

	b.gate.Set(settings(t, true))
	b.run()
	b.get(home, "linux/initrd", "initrd")
	b.get(other, "win/boot.wim", "image")
	b.refused(home, "secret/key", 2, "not a file of this client's profile")
	b.refused(fourth, "linux/initrd", 2, "not known")
	b.refused(home, "linux/../secret/key", 2, "access refused")
	b.get(fourth, strings.ToUpper(policy.ExitScript), "#!ipxe\nexit\n")
	if h := b.heard.await(t, "secret/key", "refused"); h.Why != textProfile || h.Profile != "linux" {
		t.Errorf("heard of %+v", h)
	}
}

// Uploads and netascii have the same gate.
func TestStrictAside(t *testing.T) {
	b := newBed(t, Config{Names: names{home: {MAC: macA, Profile: "linux"}}}, settings(t, true), nil)
	b.cfg.Netascii, b.cfg.Uploads = true, &tftp.Uploads{Dir: t.TempDir(), MaxSize: 1000, MaxFiles: 10, MaxTotal: 1000}
	b.run()
	netascii := func(name string) (string, error) {
		var got strings.Builder
		c := tftptest.Client{Server: b.addr, Local: netip.AddrPortFrom(home, 0)}
		_, err := c.Get(t.Context(), tftptest.Request{Name: name, Mode: "netascii"}, &got)
		return got.String(), err
	}
	if got, err := netascii("linux/initrd"); err != nil || got != "initrd" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := netascii("secret/key"); err == nil || !strings.Contains(err.Error(), "TFTP error 2: not a file of this client's profile") {
		t.Errorf("got %v", err)
	}
	if g := b.gate.Open(tftp.Opening{Client: netip.AddrPortFrom(home, 9), Name: "../up", Write: true, Root: b.root}); g.How != tftp.WriteRefused {
		t.Errorf("%+v", g)
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(home, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.WriteToUDPAddrPort([]byte("\x00\x02up\x00octet\x00"), b.addr); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 1000)
	n, err := conn.Read(buf)
	if want := "\x00\x05\x00\x02" + textWrites + "\x00"; err != nil || string(buf[:n]) != want {
		t.Errorf("a write got %q, %v; want %q", buf[:n], err, want)
	}
	b.gate.Set(settings(t, false))
	if g := b.gate.Open(tftp.Opening{Client: netip.AddrPortFrom(home, 9), Name: "up", Write: true, Root: b.root}); g.How != 0 {
		t.Errorf("%+v", g)
	}
}

// What a deployment ends with is not for those who cannot be told apart, also
// where files are not strict, nor to be had in a mode that holds nothing back.
func TestMilestonesAreNobodys(t *testing.T) {
	cat, _ := catalogue(t)
	b := newBed(t, Config{Names: names{home: answered(macA, "d")}, Catalogue: cat}, settings(t, false), nil)
	unknown := netip.MustParseAddr("127.0.0.9")
	check := func(file string, may bool) {
		t.Helper()
		if g := b.ask(unknown, file); (g.How == 0) != may || !may && g.How != tftp.Refused {
			t.Errorf("%s: %+v, want leave %v", file, g, may)
		}
	}
	check("pxe/linux.0", true)
	check("linux/vmlinuz", true)
	create(t, cat, once("d", deploy.Target{MAC: macA}, deploy.Milestone{}))
	check("PXE/linux.0", false)
	check("linux/vmlinuz", true)
	check("win/boot.efi", true)
	create(t, cat, once("e", deploy.Target{MAC: macB}, deploy.Milestone{On: deploy.OnFile, File: "Linux/vmlinuz"}))
	check("linux/VMLINUZ", false)
	create(t, cat, once("f", deploy.Target{MAC: macB}, deploy.Milestone{On: deploy.OnFile, File: "secret/key"}))
	check("\u017fecret/\u212aey", false) // letters that are found for s and k
	if err := cat.Cancel(t.Context(), "e", 0, "me", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	check("linux/vmlinuz", true)
	if g := b.ask(home, "pxe/linux.0"); g.How != 0 || g.Follow == nil || !g.Follow.Holds() {
		t.Errorf("the machine itself: %+v", g)
	}
	b.cfg.Netascii = true
	b.run()
	c := tftptest.Client{Server: b.addr, Local: netip.AddrPortFrom(home, 0)}
	if _, err := c.Get(t.Context(), tftptest.Request{Name: "pxe/linux.0", Mode: "netascii"}, new(strings.Builder)); err == nil || !strings.Contains(err.Error(), "octet only") {
		t.Errorf("netascii: %v", err)
	}
}

// Until the catalogue has been read, nobody knows what is used up.
func TestNotReadYet(t *testing.T) {
	cat := deploy.New(deploy.Config{}) // does not run
	b := newBed(t, Config{Names: names{home: answered(macA, "d"), other: {MAC: macB, Profile: "linux"}}, Catalogue: cat}, settings(t, false), nil)
	for _, c := range []struct {
		from netip.Addr
		file string
		want tftp.Outcome
	}{
		{home, "pxe/linux.0", tftp.Busy},
		{home, "linux/vmlinuz", tftp.Busy},
		{other, "pxe/linux.0", 0},
		{third, "pxe/linux.0", tftp.Refused},
		{third, "linux/vmlinuz", 0},
	} {
		if g := b.ask(c.from, c.file); g.How != c.want {
			t.Errorf("%v, %s: %+v, want %v", c.from, c.file, g, c.want)
		}
	}
	// Who is in the middle of a file does not ask again.
	if g := b.gate.Open(tftp.Opening{Client: netip.AddrPortFrom(home, 9), Name: "pxe/linux.0", Restored: true, Root: b.root}); g.How != tftp.Refused {
		t.Errorf("%+v", g)
	}
}

// A deployment that is gone, or not the machine's any more, leaves the profile
// that the machine was answered with.
func TestDeploymentGone(t *testing.T) {
	cat, _ := catalogue(t)
	create(t, cat, deploy.Deployment{ID: "b", Target: deploy.Target{MAC: macB}, Profile: "windows"})
	b := newBed(t, Config{Names: names{home: answered(macA, "gone"), other: answered(macA, "b")}, Catalogue: cat}, settings(t, true), nil)
	for _, from := range []netip.Addr{home, other} {
		if g := b.ask(from, "pxe/linux.0"); g.How != 0 || g.Follow.Holds() {
			t.Errorf("%+v", g)
		}
		if g := b.ask(from, "win/boot.efi"); g.How != tftp.Refused {
			t.Errorf("%+v", g)
		}
	}
}

// recorder is a catalogue that keeps what it is told.
type recorder struct {
	*deploy.Catalogue
	kinds []deploy.EventKind
	last  deploy.Event
}

func (r *recorder) Note(_ deploy.RunID, e deploy.Event, _ time.Time) {
	r.kinds, r.last = append(r.kinds, e.Kind), e
}

func (r *recorder) Act(_ context.Context, _ deploy.RunID, e deploy.Event, _ time.Time) error {
	r.kinds, r.last = append(r.kinds, e.Kind), e
	return nil
}

// TestEvents has followers tell the catalogue what it is to know, and no more.
func TestEvents(t *testing.T) {
	cat, _ := catalogue(t)
	create(t, cat, once("d", deploy.Target{MAC: macA}, deploy.Milestone{}))
	for _, c := range []struct {
		name  string
		do    func(f tftp.Follower)
		want  []deploy.EventKind
		event deploy.Event // the last one, its own part
	}{
		{"a size", func(f tftp.Follower) { f.Began(9); f.Ended(tftp.Ending{Outcome: tftp.Probe}) }, nil, deploy.Event{}},
		{"a file", func(f tftp.Follower) {
			f.Began(9)
			f.Moved(5)
			if err := f.LastBlock(t.Context()); err != nil {
				t.Error(err)
			}
			f.Ended(tftp.Ending{Outcome: tftp.Complete, Confirmed: true, Acknowledged: 9})
		}, []deploy.EventKind{deploy.Began, deploy.Moved, deploy.LastBlock, deploy.Fetched}, deploy.Event{Sent: 9, Size: 9}},
		{"a quick one", func(f tftp.Follower) {
			f.Began(9)
			f.Ended(tftp.Ending{Outcome: tftp.Complete, Confirmed: true, Acknowledged: 9})
		},
			[]deploy.EventKind{deploy.Began, deploy.Fetched}, deploy.Event{Sent: 9, Size: 9}},
		{"no word of the last block", func(f tftp.Follower) { f.Began(9); f.Ended(tftp.Ending{Outcome: tftp.Complete, Why: "silence"}) },
			[]deploy.EventKind{deploy.Broke}, deploy.Event{Size: 9, Message: "silence"}},
		{"broken off", func(f tftp.Follower) {
			f.Began(9)
			f.Moved(3)
			f.Ended(tftp.Ending{Outcome: tftp.TimedOut, Acknowledged: 4})
		},
			[]deploy.EventKind{deploy.Began, deploy.Moved, deploy.Broke}, deploy.Event{Sent: 4, Size: 9, Message: "timed_out"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &recorder{Catalogue: cat}
			b := newBed(t, Config{Names: names{home: answered(macA, "d")}, Catalogue: r}, settings(t, false), nil)
			c.do(b.ask(home, "pxe/linux.0").Follow)
			if len(r.kinds) != len(c.want) {
				t.Fatalf("told of %v, want %v", r.kinds, c.want)
			}
			for i := range r.kinds {
				if r.kinds[i] != c.want[i] {
					t.Fatalf("told of %v, want %v", r.kinds, c.want)
				}
			}
			if len(c.want) == 0 {
				return
			}
			want := c.event
			want.Kind, want.Address, want.Server, want.File, want.NBP, want.Claim = c.want[len(c.want)-1], macA, "srv1", "pxe/linux.0", true, "srv1/id"
			if r.last != want {
				t.Errorf("told of %+v, want %+v", r.last, want)
			}
		})
	}
}

var _ Names = (*binding.Table)(nil)
