package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckGood(t *testing.T) {
	path := site(t, labYAML, labFiles...)
	r := xdpxe(t, "check", "-c", path)
	want := path + ": ok\n  interfaces xdpxe-none0; datapath auto, deliver auto\n  2 rules, default ignore; 1 profile, 3 boot files and 0 URLs\n"
	if r.code != 0 || r.stdout != want || r.stderr != "" {
		t.Errorf("%+v", r)
	}
}

// A file without interfaces is complete with serve's -i.
func TestCheckLeavesInterfacesToServe(t *testing.T) {
	path := site(t, strings.Replace(labYAML, "interfaces: [xdpxe-none0]\n", "", 1), labFiles...)
	if r := xdpxe(t, "check", "-c", path); r.code != 0 || !strings.Contains(r.stdout, "interfaces given by -i") {
		t.Errorf("%+v", r)
	}
}

func TestCheckMistakes(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		files          []string
		want           []string // FILE stands for the path
	}{
		{"unknown key", "default: ignore", "defualt: ignore", labFiles, []string{`FILE:5:3: unknown key "defualt" (did you mean default?)`}},
		{"missing boot file", "", "", labFiles[1:], []string{"FILE:14:25: profile linux: bios: boot file undionly.kpxe: not found below "}},
		{"two missing boot files", "", "", labFiles[:1], []string{"x64-uefi: boot file EFI/snponly.efi", "ipxe: boot file boot.ipxe"}},
		{"missing root", "root: srv", "root: nowhere", labFiles, []string{"FILE:3:7: root: ", "no such file or directory"}},
		{"directory in place of a file", "undionly.kpxe,", "EFI,", labFiles, []string{"boot file EFI: is a directory"}},
		{"syntax", "policy:", "policy: [", labFiles, []string{"FILE:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := site(t, strings.Replace(labYAML, c.from, c.to, 1), c.files...)
			r := xdpxe(t, "check", "-c", path)
			if r.code != 1 || r.stdout != "" {
				t.Errorf("exit %d, stdout %q", r.code, r.stdout)
			}
			for _, want := range c.want {
				if want = strings.ReplaceAll(want, "FILE", path); !strings.Contains(r.stderr, want) {
					t.Errorf("%q is not in:\n%s", want, r.stderr)
				}
			}
			for line := range strings.Lines(r.stderr) {
				if !strings.HasPrefix(line, path+":") {
					t.Errorf("line without its place: %s", line)
				}
			}
		})
	}
}

func TestCheckWarns(t *testing.T) {
	path := site(t, strings.Replace(labYAML, ", ipxe: boot.ipxe", "", 1), labFiles...)
	r := xdpxe(t, "check", "-c", path)
	if r.code != 0 || !strings.HasPrefix(r.stderr, "warning: "+path+":") || !strings.HasPrefix(r.stdout, path+": ok\n") {
		t.Errorf("%+v", r)
	}
}

// An unreadable file is the machine's fault, not a mistake in it.
func TestCheckUnreadable(t *testing.T) {
	dir := t.TempDir()
	if r := xdpxe(t, "check", "-c", dir); r.code != 2 || !strings.Contains(r.stderr, dir) {
		t.Errorf("%+v", r)
	}
}

func TestCheckDirectory(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "undionly.kpxe"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := xdpxe(t, "check", "--root", root)
	if r.code != 0 || !strings.HasPrefix(r.stdout, root+": ok\n") || !strings.Contains(r.stdout, "bios              undionly.kpxe") {
		t.Errorf("%+v", r)
	}
	if r := xdpxe(t, "check", "--root", t.TempDir()); r.code != 1 || !strings.Contains(r.stderr, "no boot program under a usual name") {
		t.Errorf("empty root: %+v", r)
	}
}

// What profiles name is parsed where it is a template, which may be in a boot file's place.
func TestCheckTemplates(t *testing.T) {
	path := site(t, labYAML, append([]string{"boot.ipxe.tmpl", "elsewhere.tmpl"}, labFiles[:len(labFiles)-1]...)...)
	root := filepath.Join(filepath.Dir(path), "srv")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("boot.ipxe.tmpl", "#!ipxe\nkernel {{.Server.URL}}/linux hostname={{.Machine.Name}}\n")
	write("elsewhere.tmpl", "{{") // nobody's
	if r := xdpxe(t, "check", "-c", path); r.code != 0 || !strings.HasPrefix(r.stdout, path+": ok\n") {
		t.Errorf("%+v", r)
	}
	write("boot.ipxe.tmpl", "#!ipxe\nkernel {{.Server.URL}\n")
	r := xdpxe(t, "check", "-c", path)
	if want := filepath.Join(root, "boot.ipxe.tmpl") + ":2"; r.code != 1 || r.stdout != "" || !strings.HasPrefix(r.stderr, want) {
		t.Errorf("%+v, want %s", r, want)
	}
}
