package bpf

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestObjectsMatchSource compiles the sources again with the compiler that
// gen.go names, in a copy of this directory elsewhere, and wants the committed
// files byte for byte: nobody can change one without the other, and where the
// checkout lies makes no difference.
func TestObjectsMatchSource(t *testing.T) {
	command := generateCommand(t)
	for _, flag := range []string{"-cc", "-strip"} {
		tool := command[index(command, flag)+1]
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (apt-get install clang-14 llvm-14): %v", tool, err)
		}
	}
	// The copy keeps the depth of no path, and its module needs bpf2go alone.
	dir := filepath.Join(t.TempDir(), "some", "where", "else")
	copySources(t, dir)
	bpf2go := filepath.Join(t.TempDir(), "bpf2go")
	build := exec.Command("go", "build", "-o", bpf2go, "github.com/cilium/ebpf/cmd/bpf2go")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build bpf2go: %v\n%s", err, out)
	}
	cmd := exec.Command(bpf2go, command[index(command, "bpf2go")+1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPACKAGE=bpf", "GOFILE=gen.go")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	for _, name := range []string{"pxe_bpfel.o", "pxe_bpfeb.o", "pxe_bpfel.go", "pxe_bpfeb.go"} {
		committed, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		made, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(made, committed) {
			t.Errorf("%s is not what the sources make: run `go generate ./bpf` with %s and commit the result",
				name, version(t, command[index(command, "-cc")+1]))
		}
	}
}

var quoted = regexp.MustCompile(`"[^"]*"|\S+`)

// generateCommand returns the words of gen.go's go:generate line.
func generateCommand(t *testing.T) []string {
	t.Helper()
	src, err := os.ReadFile("gen.go")
	if err != nil {
		t.Fatal(err)
	}
	_, line, ok := strings.Cut(string(src), "//go:generate ")
	if !ok {
		t.Fatal("gen.go: no go:generate line")
	}
	line, _, _ = strings.Cut(line, "\n")
	words := quoted.FindAllString(line, -1)
	for i := range words {
		words[i] = strings.Trim(words[i], `"`)
	}
	return words
}

func index(words []string, word string) int {
	for i, w := range words {
		if w == word {
			return i
		}
	}
	return -1
}

func copySources(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ext := filepath.Ext(path); d.IsDir() || ext != ".c" && ext != ".h" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func version(t *testing.T, cc string) string {
	t.Helper()
	out, err := exec.Command(cc, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first
}
