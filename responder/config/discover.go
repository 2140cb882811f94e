package config

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// discovered is the name of the one profile that Discover makes.
const discovered = "default"

// Found is what one kind of client gets in a discovered configuration.
type Found struct {
	Client string // name of the architecture, or ipxe
	File   string // path below the root; empty: no answer
	Note   string // may be empty
}

// String is one line for people.
func (f Found) String() string {
	s := fmt.Sprintf("%-17s %s", f.Client, f.File)
	if f.File == "" {
		s = fmt.Sprintf("%-17s no answer", f.Client)
	}
	if f.Note != "" {
		s += " (" + f.Note + ")"
	}
	return s
}

// Discover makes a configuration out of the boot programs that root holds
// under their usual names, in any letter case, in root itself and in the
// directories where distributions put them. Every client that there is a file
// for gets it. An .efi file whose header is of another architecture is not
// taken. Interfaces and Root are left to Config.Apply.
func Discover(root fs.FS) (*Config, []Found, error) {
	t := tree{root: root, listed: make(map[string]map[string][]string)}
	if _, err := fs.ReadDir(root, "."); err != nil {
		return nil, nil, fmt.Errorf("boot file root: %w", err)
	}
	var found []Found
	files, serveIPXE := make(map[string]string), false
	for i := range usualPrograms {
		u := &usualPrograms[i]
		if name := t.search(u); name != "" {
			files[u.client] = name
			f := Found{Client: u.client, File: name}
			if u.client == policy.ArchX64UEFI.String() {
				f.Note = "also for " + policy.ArchEBC.String() + ", which much x64 firmware sends"
			}
			found = append(found, f)
			serveIPXE = serveIPXE || isIPXE(name)
		}
	}
	if len(files) == 0 {
		return nil, nil, nothingFound()
	}
	if name := t.search(&usualScripts); name != "" {
		files[policy.IPXEFile] = name
		found = append(found, Found{Client: policy.IPXEFile, File: name})
	} else if serveIPXE {
		found = append(found, Found{Client: policy.IPXEFile, Note: "there is no " + usualScripts.names[0] + "; iPXE runs the script that is built into it, if any"})
	}
	c := Default()
	c.Spec.Default = discovered
	c.Spec.Profiles = map[string]policy.Profile{discovered: {Files: files}}
	if err := c.compile(); err != nil {
		return nil, nil, fmt.Errorf("boot files found: %w", err)
	}
	return c, found, nil
}

func nothingFound() error {
	var b strings.Builder
	b.WriteString("no boot program under a usual name; looked for")
	for i := range usualPrograms {
		u := &usualPrograms[i]
		fmt.Fprintf(&b, "\n  %-17s %s", u.client, strings.Join(u.all(), ", "))
	}
	fmt.Fprintf(&b, "\nin the root and its folders %s; other names need a configuration file", strings.Join(commonDirs[1:], ", "))
	return fmt.Errorf("%s", b.String())
}

func (u *usual) all() []string { return slices.Concat(u.generic, u.names) }

// tree finds names in any letter case.
type tree struct {
	root   fs.FS
	listed map[string]map[string][]string // directory to lower-case name to its spellings
}

// search returns the path of the most preferred file that is there, "" if none is.
func (t *tree) search(u *usual) string {
	everywhere := slices.Concat(commonDirs[:1], u.dirs, commonDirs[1:])
	for _, name := range u.all() {
		dirs := everywhere
		if slices.Contains(u.generic, name) {
			dirs = u.dirs
		}
		for _, dir := range dirs {
			if found := t.find(".", path.Join(dir, name)); found != "" && t.runsOn(found, u.machine) {
				return found
			}
		}
	}
	return ""
}

// find returns the true spelling of a file below dir, "" if there is none. A
// folder can be there in several spellings; the file is in one of them.
func (t *tree) find(dir, name string) string {
	first, rest, deeper := strings.Cut(name, "/")
	for _, spelt := range t.list(dir)[strings.ToLower(first)] {
		at := path.Join(dir, spelt)
		if deeper {
			if found := t.find(at, rest); found != "" {
				return found
			}
		} else if t.isFile(at) {
			return at
		}
	}
	return ""
}

// list returns the spellings of the names in a directory by lower case, the
// lower-case one first; none if it cannot be read.
func (t *tree) list(dir string) map[string][]string {
	names, ok := t.listed[dir]
	if ok {
		return names
	}
	names = make(map[string][]string)
	entries, _ := fs.ReadDir(t.root, dir)
	for _, e := range entries {
		low := strings.ToLower(e.Name())
		if e.Name() == low {
			names[low] = slices.Insert(names[low], 0, low)
		} else {
			names[low] = append(names[low], e.Name())
		}
	}
	t.listed[dir] = names
	return names
}

func (t *tree) isFile(name string) bool {
	info, err := fs.Stat(t.root, name)
	return err == nil && info.Mode().IsRegular()
}

// runsOn reports whether a file can be for machines of those PE types: it is
// not a PE file, or it says one of them.
func (t *tree) runsOn(name string, machines []uint16) bool {
	if len(machines) == 0 {
		return true
	}
	f, err := t.root.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	machine, ok := peMachine(f)
	return !ok || slices.Contains(machines, machine)
}

// peMachine reads the Machine field of a PE file: the DOS header has the offset
// of the PE header at 0x3c, which starts with "PE\0\0" and Machine.
func peMachine(r io.Reader) (machine uint16, ok bool) {
	head := make([]byte, 4096)
	n, _ := io.ReadFull(r, head)
	head = head[:n]
	if len(head) < 0x40 || string(head[:2]) != "MZ" {
		return 0, false
	}
	at := uint64(binary.LittleEndian.Uint32(head[0x3c:]))
	if at+6 > uint64(len(head)) || string(head[at:at+4]) != "PE\x00\x00" {
		return 0, false
	}
	return binary.LittleEndian.Uint16(head[at+4:]), true
}
