package tftp

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// uploadBed takes uploads without tight limits.
func uploadBed(t *testing.T, cfg Config) (b *bed, dir string) {
	t.Helper()
	dir = t.TempDir()
	if cfg.Uploads == nil {
		cfg.Uploads = &Uploads{MaxSize: 1 << 30, MaxFiles: 1000, MaxTotal: 1 << 30}
	}
	return serveUploads(t, cfg, dir), dir
}

func serveUploads(t *testing.T, cfg Config, dir string) *bed {
	t.Helper()
	cfg.Uploads.Dir = dir
	cfg.Netascii = true
	if cfg.InitialTimeout == 0 { // nothing is repeated while a test goes on
		cfg.InitialTimeout, cfg.MaxTimeout, cfg.GiveUp = 20*time.Second, 20*time.Second, time.Minute
	}
	return serve(t, cfg, map[string][]byte{"text": []byte(unixText)})
}

// Line ends of both kinds, and some across the blocks of 512 bytes.
var unixText = "one\ntwo\r\n\rthree" + strings.Repeat("\n", 700) + strings.Repeat("x\n\r", 400) + "the end"

func wrq(words ...string) []byte {
	p := rrq(words...)
	p[1] = opWRQ
	return p
}

func run(t *testing.T, command ...string) {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Skipf("needs the program %s", command[0])
	}
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
	// tftp-hpa exits 0 whatever happens, and says so.
	if err != nil || bytes.Contains(out, []byte("Error")) {
		t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
}

func TestStockUploads(t *testing.T) {
	for _, single := range []bool{false, true} {
		b, dir := uploadBed(t, Config{SinglePort: single, Workers: 2})
		port := itoa(b.Port())
		for _, host := range []string{"127.0.0.1", "::1"} {
			url := func(name string) string { return fmt.Sprintf("tftp://%s/%s", bracketed(host, port), name) }
			for what, put := range map[string]func(local, remote string) []string{
				"tftp-hpa": func(local, remote string) []string {
					return []string{"tftp", "-m", "octet", host, port, "-c", "put", local, remote}
				},
				"atftp": func(local, remote string) []string {
					return []string{"atftp", "-p", "-l", local, "-r", remote, host, port}
				},
				"atftp-blksize": func(local, remote string) []string {
					return []string{"atftp", "--option", "blksize 1428", "--option", "tsize 0", "-p", "-l", local, "-r", remote, host, port}
				},
				"curl": func(local, remote string) []string {
					return []string{"curl", "-sS", "--max-time", "60", "-T", local, url(remote)}
				},
				"curl-blksize": func(local, remote string) []string {
					return []string{"curl", "-sS", "--max-time", "60", "--tftp-blksize", "1468", "-T", local, url(remote)}
				},
			} {
				t.Run(fmt.Sprintf("%s to %s, single port %v", what, host, single), func(t *testing.T) {
					t.Parallel()
					for _, size := range []int{1, 512, 1428 * 3, 300_001} {
						name := fmt.Sprintf("%s-%s-%d", what, strings.ReplaceAll(host, ":", "_"), size)
						local := filepath.Join(t.TempDir(), name)
						if err := os.WriteFile(local, randomFile(size, uint64(size)), 0o644); err != nil {
							t.Fatal(err)
						}
						run(t, put(local, name)...)
						got, err := os.ReadFile(filepath.Join(dir, name))
						if err != nil || !bytes.Equal(got, randomFile(size, uint64(size))) {
							t.Errorf("%d bytes: %v, %d bytes arrived", size, err, len(got))
						}
					}
				})
			}
			t.Run(fmt.Sprintf("netascii both ways with %s, single port %v", host, single), func(t *testing.T) {
				t.Parallel()
				local := filepath.Join(t.TempDir(), "text")
				if err := os.WriteFile(local, []byte(unixText), 0o644); err != nil {
					t.Fatal(err)
				}
				name := "text-" + strings.ReplaceAll(host, ":", "_")
				run(t, "tftp", "-m", "netascii", host, port, "-c", "put", local, name)
				got, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil || string(got) != unixText {
					t.Errorf("%v, %q arrived", err, got)
				}
				run(t, "tftp", "-m", "netascii", host, port, "-c", "get", "text", local)
				if got, err := os.ReadFile(local); err != nil || string(got) != unixText {
					t.Errorf("%v, %q came", err, got)
				}
			})
		}
	}
}

// put uploads a file by hand, in blocks of 512 bytes, and leaves the last one
// unsent. It returns the server's address and the number of the last block.
func (b *bed) put(t *testing.T, w *wire, name string, file []byte, options ...string) (netip.AddrPort, int) {
	t.Helper()
	w.send(b.addr, wrq(append([]string{name, "octet"}, options...)...))
	w.from = w.expect(ackPacket(0))
	last := len(file)/512 + 1
	for n := 1; n < last; n++ {
		w.send(w.from, dataPacket(file, 512, n))
		w.expect(ackPacket(n))
	}
	return w.from, last
}

// files lists the names in a directory.
func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestUpload(t *testing.T) {
	for _, single := range []bool{false, true} {
		t.Run(fmt.Sprint("single port ", single), func(t *testing.T) {
			b, dir := uploadBed(t, Config{SinglePort: single})
			file := randomFile(2000, 1)
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, wrq("new", "octet"))
			tid := w.expect(ackPacket(0))
			if single != (tid == b.addr) {
				t.Errorf("answered from %v", tid)
			}
			w.from = tid
			w.send(b.addr, wrq("new", "octet")) // the same, late
			b.sync()
			stranger := newWire(t, "127.0.0.1:0")
			stranger.send(tid, dataPacket(randomFile(2000, 2), 512, 1))
			stranger.expectError(codeUnknownTID)
			for range 10 { // gone when their ERRORs come, which is not about the client
				gone := newWire(t, "127.0.0.1:0")
				gone.send(tid, dataPacket(file, 512, 1))
				gone.close()
			}
			for n := 1; n <= 3; n++ {
				w.send(tid, dataPacket(file, 512, n))
				w.expect(ackPacket(n))
			}
			tr := b.Transfers()
			if len(tr) != 1 || !tr[0].Upload || tr[0].File != "new" || tr[0].Offset != 1536 || tr[0].Client != w.addr() || tr[0].Server != tid {
				t.Errorf("%+v", tr)
			}
			if names := filesIn(t, dir); len(names) != 1 || names[0] == "new" {
				t.Errorf("half an upload is there as %q", names)
			}
			// The last acknowledgement is lost, again and again.
			for range 3 {
				w.send(tid, dataPacket(file, 512, 4))
				w.expect(ackPacket(4))
				if names := filesIn(t, dir); len(names) != 1 || names[0] != "new" {
					t.Errorf("acknowledged with %q there", names)
				}
			}
			if got, err := os.ReadFile(filepath.Join(dir, "new")); err != nil || !bytes.Equal(got, file) {
				t.Errorf("%v, %d bytes", err, len(got))
			}
			b.eventually("the upload is counted", func(st Stats) bool {
				return st.Uploads == 1 && st.Received == 2000 && st.Outcomes[Complete] == 1 && st.Repeated == 1 && st.Active == 0
			})
			// From the same port, at once: another upload, and a download.
			w.from = netip.AddrPort{}
			_, last := b.put(t, w, "next", file)
			w.send(w.from, dataPacket(file, 512, last))
			w.expect(ackPacket(last))
			w.from = netip.AddrPort{}
			w.send(b.addr, rrq("text", "octet"))
			w.expect(dataPacket([]byte(unixText), 512, 1))
		})
	}
}

func TestUploadRefused(t *testing.T) {
	outside := t.TempDir()
	b, dir := uploadBed(t, Config{Clients: func(a netip.Addr) bool { return a != netip.MustParseAddr("127.0.0.66") },
		Uploads: &Uploads{MaxSize: 1000, MaxFiles: 4, MaxTotal: 2500}})
	for name, data := range map[string]string{"there": "old", "sub/f": "old"} {
		(&bed{t: t, dir: dir}).write(name, []byte(data))
	}
	for name, target := range map[string]string{"out": outside, "file": filepath.Join(outside, "file"), "dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		code    uint16
		outcome Outcome
	}{
		{"there", codeExists, Exists}, {"/there", codeExists, Exists}, {`sub\f`, codeExists, Exists},
		{"../up", codeAccess, OutsideRoot}, {`..\up`, codeAccess, OutsideRoot}, {"sub/../../up", codeAccess, OutsideRoot}, {"a\x01b", codeAccess, BadName},
		{"out/f", codeAccess, OutsideRoot}, {"file", codeAccess, NotRegular}, {"dangling", codeAccess, NotRegular}, {"sub", codeAccess, NotRegular},
		{".xdpxe-upload-7", codeAccess, BadName}, {"/", codeNotFound, IsDirectory}, {"no/such/dir", codeNotFound, NotFound}, {"there/f", codeNotFound, NotFound},
	} {
		before := b.outcome(c.outcome)
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, wrq(c.name, "octet"))
		w.expectError(c.code)
		b.turnUntil(c.name, func(st Stats) bool { return st.Outcomes[c.outcome] == before+1 && st.Active == 0 })
	}
	t.Run("limits", func(t *testing.T) {
		over := func(what string, send func(w *wire)) {
			t.Helper()
			before, names := b.outcome(OverLimit), filesIn(t, dir)
			w := newWire(t, "127.0.0.1:0")
			send(w)
			w.expectError(codeDiskFull)
			b.eventually(what, func(st Stats) bool { return st.Outcomes[OverLimit] == before+1 })
			if now := filesIn(t, dir); len(now) != len(names) {
				t.Errorf("%s: %q are there, %q before", what, now, names)
			}
		}
		file := randomFile(1001, 3)
		// In the folder are two files, three links: more than max-files has.
		over("files", func(w *wire) { w.send(b.addr, wrq("new", "octet")) })
		for _, name := range []string{"out", "file", "dangling"} {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		over("announced size", func(w *wire) { w.send(b.addr, wrq("new", "octet", "tsize", "1001")) })
		over("size", func(w *wire) {
			_, last := b.put(t, w, "new", file)
			w.send(w.from, dataPacket(file, 512, last))
		})
		// What is under way counts.
		first, second := newWire(t, "127.0.0.1:0"), newWire(t, "127.0.0.1:0")
		tid1, last := b.put(t, first, "first", file[:1000])
		b.put(t, second, "second", file[:1000])
		over("files, with those under way", func(w *wire) { w.send(b.addr, wrq("third", "octet")) })
		again := newWire(t, "127.0.0.1:0")
		again.send(b.addr, wrq("first", "octet"))
		again.expectError(codeExists)
		second.send(second.from, appendError(nil, 0, "enough"))
		b.eventually("aborted", func(st Stats) bool { return st.Outcomes[Aborted] == 1 && st.Active == 1 })
		first.send(tid1, dataPacket(file[:1000], 512, last))
		first.expect(ackPacket(last))
		if err := os.WriteFile(filepath.Join(dir, "there"), make([]byte, 1000), 0o644); err != nil {
			t.Fatal(err)
		}
		// 497 bytes are left.
		over("announced total", func(w *wire) { w.send(b.addr, wrq("new", "octet", "tsize", "498")) })
		over("total", func(w *wire) {
			_, last := b.put(t, w, "new", file[:498])
			w.send(w.from, dataPacket(file[:498], 512, last))
		})
		w := newWire(t, "127.0.0.1:0")
		_, last = b.put(t, w, "new", file[:497], "tsize", "497")
		w.send(w.from, dataPacket(file[:497], 512, last))
		w.expect(ackPacket(1))
	})
	t.Run("clients", func(t *testing.T) {
		w := newWire(t, "127.0.0.66:0")
		before := b.outcome(NotAllowed)
		w.send(b.addr, wrq("x", "octet"))
		w.send(b.addr, rrq("text", "netascii"))
		b.nothing(w)
		if n := b.outcome(NotAllowed); n != before+2 {
			t.Errorf("%d requests counted as not allowed", n-before)
		}
	})
	if names := filesIn(t, outside); len(names) != 0 {
		t.Errorf("outside of the folder there are %q", names)
	}
}

func TestUploadOverwrites(t *testing.T) {
	b, dir := uploadBed(t, Config{Uploads: &Uploads{MaxSize: 1 << 20, MaxFiles: 1, MaxTotal: 1 << 20, Overwrite: true}})
	(&bed{t: t, dir: dir}).write("f", []byte("old"))
	file := randomFile(1300, 5)
	w := newWire(t, "127.0.0.1:0")
	tid, last := b.put(t, w, "f", file)
	if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(got) != "old" {
		t.Errorf("before the new file is whole there is %q, %v", got, err)
	}
	w.send(tid, dataPacket(file, 512, last))
	w.expect(ackPacket(last))
	if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || !bytes.Equal(got, file) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestUploadPartial has uploads end in every way but the good one: nothing stays.
func TestUploadPartial(t *testing.T) {
	file := randomFile(1300, 6)
	b, dir := uploadBed(t, Config{})
	for how, end := range map[Outcome]func(w *wire, tid netip.AddrPort, last int){
		Aborted:    func(w *wire, tid netip.AddrPort, _ int) { w.send(tid, appendError(nil, 0, "enough")) },
		Superseded: func(w *wire, _ netip.AddrPort, _ int) { w.send(b.addr, rrq("text", "octet")) },
		Incomplete: func(w *wire, tid netip.AddrPort, last int) {
			w.send(tid, dataPacket(file, 512, last))
		},
	} {
		w := newWire(t, "127.0.0.1:0")
		tid, last := b.put(t, w, "new", file, "tsize", "1301")
		end(w, tid, last)
		b.eventually(how.String(), func(st Stats) bool { return st.Outcomes[how] == 1 && len(filesIn(t, dir)) == 0 })
	}
	short, shortDir := uploadBed(t, Config{InitialTimeout: 10 * time.Millisecond, MaxTimeout: 10 * time.Millisecond, GiveUp: 100 * time.Millisecond})
	w := newWire(t, "127.0.0.1:0")
	w.send(short.addr, wrq("new", "octet"))
	w.expect(ackPacket(0))
	w.expect(ackPacket(0)) // repeated, and then given up
	short.eventually("given up", func(st Stats) bool { return st.Outcomes[TimedOut] == 1 && len(filesIn(t, shortDir)) == 0 })

	slow, slowDir := uploadBed(t, Config{InitialTimeout: 50 * time.Millisecond})
	w = newWire(t, "127.0.0.1:0")
	w.send(slow.addr, wrq("new", "octet"))
	w.expect(ackPacket(0))
	w.close() // the acknowledgement that is repeated meets a closed port
	slow.eventually("gone", func(st Stats) bool { return st.Outcomes[Unreachable] == 1 && len(filesIn(t, slowDir)) == 0 })

	w = newWire(t, "127.0.0.1:0")
	b.put(t, w, "new", file)
	b.stop()
	if names := filesIn(t, dir); b.outcome(Stopped) == 0 || len(names) != 0 {
		t.Errorf("after the end there are %q, %+v", names, b.Stats())
	}
	// What a process leaves that was killed.
	(&bed{t: t, dir: dir}).write(".xdpxe-upload-1", file)
	(&bed{t: t, dir: dir}).write("whole", file)
	s, err := Listen(Config{Uploads: &Uploads{Dir: dir, MaxSize: 1, MaxFiles: 1, MaxTotal: 1}}, openRoot(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if names := filesIn(t, dir); len(names) != 1 || names[0] != "whole" {
		t.Errorf("there are %q", names)
	}
}

// TestUploadComesSecond has a file of the same name come while the upload runs.
func TestUploadComesSecond(t *testing.T) {
	file := randomFile(600, 7)
	b, dir := uploadBed(t, Config{})
	w := newWire(t, "127.0.0.1:0")
	tid, last := b.put(t, w, "new", file)
	(&bed{t: t, dir: dir}).write("new", []byte("first"))
	w.send(tid, dataPacket(file, 512, last))
	w.expectError(codeExists)
	if got, err := os.ReadFile(filepath.Join(dir, "new")); err != nil || string(got) != "first" || len(filesIn(t, dir)) != 1 {
		t.Errorf("%q, %v; there are %q", got, err, filesIn(t, dir))
	}
}

// TestUploadWhileDiskFills has no room on the disk, whatever the limits say.
func TestUploadWhileDiskFills(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a small file system")
	}
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=8k"); err != nil {
		t.Skipf("needs to mount a small file system: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(small, unix.MNT_DETACH) })
	u := &Uploads{MaxSize: 1 << 20, MaxFiles: 10, MaxTotal: 1 << 20}
	b := serveUploads(t, Config{Uploads: u}, small)
	w := newWire(t, "127.0.0.1:0")
	w.send(b.addr, wrq("new", "octet", "blksize", "8192"))
	tid := w.expect(oackPacket("blksize", "8192"))
	file := randomFile(16384, 8)
	w.send(tid, dataPacket(file, 8192, 1))
	w.expect(ackPacket(1))
	w.send(tid, dataPacket(file, 8192, 2))
	w.expectError(codeDiskFull)
	b.eventually("counted", func(st Stats) bool { return st.Outcomes[OverLimit] == 1 })
	if names := filesIn(t, small); len(names) != 0 {
		t.Errorf("there are %q", names)
	}
}

// TestUploadFlood aims rubbish at sessions: none of it may end the process, a
// session of somebody else, or leave anything behind.
func TestUploadFlood(t *testing.T) {
	file := randomFile(700, 9)
	for _, single := range []bool{false, true} {
		b, dir := uploadBed(t, Config{SinglePort: single})
		good := newWire(t, "127.0.0.1:0")
		tid, last := b.put(t, good, "good", file)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range 200 {
			w := newWire(t, fmt.Sprintf("127.0.1.%d:0", i+1))
			w.send(b.addr, wrq(fmt.Sprint("bad", i), "netascii"))
			p, bad := w.recv()
			if !bytes.Equal(p, ackPacket(0)) {
				t.Fatalf("got %q", p)
			}
			for range 20 {
				p := make([]byte, random.IntN(600))
				for j := range p {
					p[j] = byte(random.Uint32())
				}
				if len(p) > 1 && random.IntN(4) > 0 {
					p[0], p[1] = 0, byte(random.IntN(8))
				}
				if len(p) > 3 && random.IntN(2) > 0 {
					p[2], p[3] = 0, byte(random.IntN(3))
				}
				w.send(bad, p)
			}
			w.send(bad, appendError(nil, 0, "enough"))
			w.close()
		}
		b.turnUntil("the others end", func(st Stats) bool { return st.Active == 1 })
		good.send(tid, dataPacket(file, 512, last))
		good.expect(ackPacket(last))
		got, err := os.ReadFile(filepath.Join(dir, "good"))
		if err != nil || !bytes.Equal(got, file) {
			t.Errorf("%v, %d bytes", err, len(got))
		}
		for _, name := range filesIn(t, dir) {
			if strings.HasPrefix(name, ".") {
				t.Errorf("%s is left", name)
			}
		}
		b.stop()
	}
}

func TestUploadFolder(t *testing.T) {
	root := openRoot(t, t.TempDir())
	fds := openFDs(t)
	for _, dir := range []string{filepath.Join(t.TempDir(), "missing"), "/proc/self/status", "/proc/self"} {
		s, err := Listen(Config{Uploads: &Uploads{Dir: dir, MaxSize: 1, MaxFiles: 1, MaxTotal: 1}}, root)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, ErrUploads) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if now := openFDs(t); now != fds {
		t.Errorf("%d descriptors open, %d before", now, fds)
	}
}

// TestAsideLimits has one address ask for more than it may.
func TestAsideLimits(t *testing.T) {
	b, _ := uploadBed(t, Config{})
	for i := range maxAsideClient {
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, wrq(fmt.Sprint("f", i), "octet"))
		w.expect(ackPacket(0))
	}
	w := newWire(t, "127.0.0.1:0")
	w.send(b.addr, wrq("one more", "octet"))
	b.nothing(w)
	other := newWire(t, "127.0.0.2:0")
	other.send(b.addr, wrq("other", "octet"))
	other.expect(ackPacket(0))
	if st := b.Stats(); st.Outcomes[ClientFull] != 1 || st.Active != maxAsideClient+1 {
		t.Errorf("%+v", st)
	}
}

func TestNetasciiRead(t *testing.T) {
	b, _ := uploadBed(t, Config{})
	wire := func(s string) (p []byte) {
		for _, c := range []byte(s) {
			switch c {
			case '\n':
				p = append(p, '\r', '\n')
			case '\r':
				p = append(p, '\r', 0)
			default:
				p = append(p, c)
			}
		}
		return p
	}
	statement(t, "G17", "netascii is converted, without tsize and windowsize", func(t *testing.T) {
		b.write("even", []byte(strings.Repeat("\n", 256))) // a whole block on the wire
		b.write("empty", nil)
		for name, text := range map[string]string{"text": unixText, "even": strings.Repeat("\n", 256), "empty": ""} {
			want := wire(text)
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, rrq(name, "NetASCII", "tsize", "0", "windowsize", "4"))
			for n := 1; n <= len(want)/512+1; n++ {
				w.from = w.expect(dataPacket(want, 512, n))
				w.send(w.from, ackPacket(n))
			}
		}
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, rrq("text", "netascii", "tsize", "0", "blksize", "1000", "windowsize", "4"))
		tid := w.expect(oackPacket("blksize", "1000"))
		w.send(tid, ackPacket(0))
		w.expect(dataPacket(wire(unixText), 1000, 1))
	})
	t.Run("a missing file, and mail", func(t *testing.T) {
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, rrq("missing", "netascii"))
		w.expectError(codeNotFound)
		w.send(b.addr, rrq("text", "mail"))
		w.expectError(codeIllegal)
	})
	statement(t, "H20", "a file that changes under a read in netascii", func(t *testing.T) {
		big := filepath.Join(b.dir, "big")
		for what, change := range map[string]func() error{
			"truncated":   func() error { return os.Truncate(big, 100_000) },
			"overwritten": func() error { return os.WriteFile(big, bytes.Repeat([]byte("LINE\n"), 1<<16), 0o644) },
		} {
			w := newWire(t, "127.0.0.1:0")
			b.write("big", bytes.Repeat([]byte("line\n"), 1<<16))
			w.send(b.addr, rrq("big", "netascii", "blksize", "8192"))
			tid := w.expect(oackPacket("blksize", "8192"))
			if err := change(); err != nil {
				t.Fatal(err)
			}
			for n := 0; ; n++ {
				w.send(tid, ackPacket(n))
				if p, _ := w.recv(); p[1] == opERROR {
					break
				} else if len(p) < 8192+4 {
					t.Fatalf("%s: the client completes", what)
				}
			}
		}
	})
	if st := b.Stats(); st.Uploads != 0 || st.Bytes == 0 {
		t.Errorf("%+v", st)
	}
}

// TestUploadAddress has the answers to an upload come from the address that was
// asked and from the ports that were agreed on, in blocks as the network may have.
func TestUploadAddress(t *testing.T) {
	b, dir := uploadBed(t, Config{DataPorts: [2]uint16{50000, 50400}, Networks: []Network{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), MaxBlksize: 1024}}})
	for i, c := range []struct{ local, server, blksize string }{
		{"127.0.0.1:0", "127.0.0.1", "1024"}, {"127.0.0.1:0", "127.0.0.9", "1024"}, {"0.0.0.0:0", "127.0.0.9", "1024"}, {"[::1]:0", "::1", "1400"},
	} {
		w := newWire(t, c.local)
		w.send(hostPort(t, c.server, b.Port()), wrq(fmt.Sprint("f", i), "octet", "blksize", "1400"))
		w.from = w.expect(oackPacket("blksize", c.blksize))
		if w.from.Addr() != netip.MustParseAddr(c.server) || w.from.Port() < 50000 || w.from.Port() > 50400 {
			t.Errorf("asked %s, answered by %v", c.server, w.from)
		}
		w.send(w.from, dataPacket([]byte("data"), 512, 1))
		w.expect(ackPacket(1))
	}
	if len(filesIn(t, dir)) != 4 {
		t.Errorf("there are %q", filesIn(t, dir))
	}
}
