package binding

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// childPath names the file that a child process writes to until it is killed.
const childPath = "XDPXE_BINDING_TEST_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		writeForever(path)
	}
	os.Exit(m.Run())
}

// childMachines have an address each, and swap names all the time.
const childMachines = 8

// writeForever changes machines so that of each one all parts say the same number.
func writeForever(path string) {
	tab, err := Open(path, 2*childMachines)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		n := i % childMachines
		gen := fmt.Sprintf("%d-%0*d", n, 1+i%40, i)
		tab.Answered(mac(n), uuid(n), "bios", "p-"+gen, "d-"+gen, []byte("c-"+gen), time.Now())
		tab.Bind(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), mac(n), uuid(n), time.Now())
		if i == childMachines {
			fmt.Println("ready")
		}
	}
}

// A process that is killed at any moment leaves a file in which all machines are
// whole, but for the one that it was just writing.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bindings")
	torn := 0
	for range 20 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childPath+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if line != "ready\n" {
			t.Fatalf("the child says %q, %v", line, err)
		}
		for end := time.Now().Add(time.Duration(rand.IntN(int(2 * time.Millisecond)))); time.Now().Before(end); {
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() // it was killed

		tab, err := Open(path, 2*childMachines)
		if err != nil {
			t.Fatal(err)
		}
		r := tab.Restored()
		if r.Lost != nil || r.Torn > 1 || r.Machines < childMachines-1 {
			t.Fatalf("restored %+v", r)
		}
		torn += r.Torn
		check(t, tab)
		bound := 0
		for n := range childMachines {
			m, ok := tab.Who(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), time.Now())
			if !ok {
				continue
			}
			bound++
			gen, _ := strings.CutPrefix(m.Profile, "p-")
			if string(m.MAC.Bytes()) != string(mac(n)) || string(m.UUID.Bytes()) != string(uuid(n)) ||
				!strings.HasPrefix(gen, fmt.Sprint(n, "-")) || m.Deployment != "d-"+gen || string(m.CircuitID) != "c-"+gen {
				t.Fatalf("machine %d is mixed up: %+v", n, m)
			}
		}
		if bound < childMachines-1 {
			t.Fatalf("%d of %d addresses are known", bound, childMachines)
		}
		tab.Close()
	}
	t.Logf("%d times a machine was half written", torn)
}
