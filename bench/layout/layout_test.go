package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/xdpxe/xdpxe/"

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath   string
	Dir          string
	Imports      []string
	TestImports  []string
	XTestImports []string
	GoFiles      []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Imports,TestImports,XTestImports,GoFiles", module+"...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, &stderr)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// in says whether a package path is one of the given ones, or below one that ends in "/...".
func in(path string, patterns ...string) bool {
	for _, p := range patterns {
		tree, isTree := strings.CutSuffix(p, "/...")
		if path == tree || isTree && strings.HasPrefix(path, tree+"/") {
			return true
		}
	}
	return false
}

// rule bounds the imports of some packages. The packages of this module are
// named without its path.
type rule struct {
	why    string
	of     []string // the packages
	except []string // but not these
	never  []string // what they must not import,
	but    []string // but this they may
	tests  bool     // the rule holds for their tests as well
}

var rules = []rule{
	{why: "nothing imports cmd", of: []string{"bpf/...", "loader/...", "responder/...", "bench/..."}, never: []string{"cmd/..."}, tests: true},
	{why: "the responder knows nothing of the kernel's side: cmd brings them together",
		of: []string{"responder/..."}, except: []string{"responder/conn/..."}, never: []string{"loader/...", "bpf/...", "bench/..."}},
	{why: "the way to the wire knows AF_XDP sockets and packets only",
		of: []string{"responder/conn/..."}, never: []string{"loader/...", "bpf/...", "bench/...", "responder/..."},
		but: []string{"loader/xsk", "responder/packet", "responder/conn/..."}},
	{why: "the loader knows nothing of what is answered", of: []string{"loader/..."}, never: []string{"responder/...", "bench/..."}},
	{why: "the kernel ABI stands alone", of: []string{"bpf/..."}, never: []string{"loader/...", "responder/...", "bench/..."}},
	{why: "the lab judges xdpxe and shares no code with it",
		of: []string{"bench/lab/..."}, never: []string{"bpf/...", "loader/...", "responder/..."}, tests: true},
	{why: "BPF is the loader's business, and the generator's own",
		of: []string{"responder/...", "cmd/...", "bench/..."}, except: []string{"bench/xdp"}, never: []string{"github.com/cilium/ebpf/..."}},
	{why: "the DHCP codec allocates: it is for tests, tools and simulated clients",
		of: []string{"responder/...", "loader/...", "bpf/..."}, except: []string{"responder/dhcp/dhcptest"}, never: []string{"github.com/insomniacslk/dhcp/..."}},
	{why: "pin/tftp serves uploads and netascii, from one package; else it is an oracle and a client in tests",
		of: []string{"responder/...", "loader/...", "bpf/...", "cmd/..."}, except: []string{"responder/tftp/legacy"}, never: []string{"github.com/pin/tftp/v3/..."}},
	{why: "what is kept is the store's business",
		of: []string{"responder/...", "loader/...", "bpf/...", "cmd/...", "bench/..."}, except: []string{"responder/store"},
		never: []string{"go.etcd.io/...", "google.golang.org/grpc/..."}},
	{why: "decisions, messages and scripts do no I/O",
		of: []string{"responder/packet", "responder/policy", "responder/dhcp", "responder/fleet", "responder/script"}, never: []string{"os/...", "net", "net/http", "syscall", "golang.org/x/sys/unix"}},
}

func TestImportDirections(t *testing.T) {
	for _, p := range packages(t) {
		own := strings.TrimPrefix(p.ImportPath, module)
		for _, r := range rules {
			if !in(own, r.of...) || in(own, r.except...) {
				continue
			}
			imports := p.Imports
			if r.tests {
				imports = append(append(imports, p.TestImports...), p.XTestImports...)
			}
			for _, path := range imports {
				path = strings.TrimPrefix(path, module)
				if in(path, r.never...) && !in(path, r.but...) {
					t.Errorf("%s imports %s: %s", own, path, r.why)
				}
			}
		}
	}
}

// Answers are made from a request and a time that the caller names.
func TestNoClockInDecisions(t *testing.T) {
	for _, p := range packages(t) {
		if !in(strings.TrimPrefix(p.ImportPath, module), "responder/packet", "responder/policy", "responder/dhcp", "responder/fleet", "responder/decide") {
			continue
		}
		for _, file := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range []string{"time.Now(", "time.Since(", "time.Until(", "time.Sleep(", "time.After("} {
				if bytes.Contains(text, []byte(call)) {
					t.Errorf("%s/%s calls %s): time is a parameter there", p.ImportPath, file, call)
				}
			}
		}
	}
}

const mostLines = 600

func TestFileLength(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// Vendored headers have the length that they have; below bin are copies.
			if d.Name() == ".git" || path == filepath.Join(root, "bin") || path == filepath.Join(root, "bpf", "headers") {
				return fs.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".c", ".h":
		default:
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		generated := bytes.HasPrefix(text, []byte("// Code generated "))
		if n := bytes.Count(text, []byte("\n")); n > mostLines && !generated {
			t.Errorf("%s has %d lines, more than %d: divide it by subject", path, n, mostLines)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
