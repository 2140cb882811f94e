package bpf

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
)

// TestVerifierCost keeps the program small, so that what is added to it is
// seen (the kernel's limits are 1,000,000 instructions and 512 bytes of stack
// along a chain of calls), and acceptable as other compilers make it: each
// clang that is installed is tried. `make verifier` prints the figures.
func TestVerifierCost(t *testing.T) {
	t.Run("committed", func(t *testing.T) { verify(t, loadTestSpec(t)) })
	for _, cc := range clangs() {
		t.Run(filepath.Base(cc), func(t *testing.T) {
			object := filepath.Join(t.TempDir(), "pxe.o")
			command := generateCommand(t)
			args := append(flags(command[index(command, "-cflags")+1]), "-target", "bpfel", "-c", "pxe.c", "-o", object)
			if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			spec, err := ebpf.LoadCollectionSpec(object)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range spec.Maps {
				m.Pinning = ebpf.PinNone // as LoadSpec does
			}
			verify(t, spec)
		})
	}
}

// clangs returns the numbered clangs in PATH.
func clangs() (found []string) {
	name := regexp.MustCompile(`^clang-\d+$`)
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		entries, _ := os.ReadDir(dir) // PATH may name what is not there
		for _, e := range entries {
			if path := filepath.Join(dir, e.Name()); name.MatchString(e.Name()) && !slices.ContainsFunc(found, func(f string) bool {
				return filepath.Base(f) == e.Name()
			}) {
				found = append(found, path)
			}
		}
	}
	return found
}

func flags(cflags string) []string { return regexp.MustCompile(`\S+`).FindAllString(cflags, -1) }

var (
	processed  = regexp.MustCompile(`processed (\d+) insns`)
	stackDepth = regexp.MustCompile(`stack depth ([\d+]+)`)
)

func verify(t *testing.T, spec *ebpf.CollectionSpec) {
	t.Helper()
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats}})
	needRoot(t, err)
	defer coll.Close()
	log := coll.Programs[ProgramName].VerifierLog
	n, depth := processed.FindStringSubmatch(log), stackDepth.FindStringSubmatch(log)
	if n == nil || depth == nil {
		t.Fatalf("the verifier's log is %q", log)
	}
	t.Logf("%s instructions processed; stack of each function: %s bytes", n[1], depth[1])
	if count, _ := strconv.Atoi(n[1]); count > 20_000 {
		t.Errorf("%d instructions processed, want at most 20,000", count)
	}
}
