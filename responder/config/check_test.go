package config

import (
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheck(t *testing.T) {
	c := parse(t, `profiles:
  winpe:
    files:
      x64-uefi: boot\x64\bootmgfw.efi
      bios: /boot/x64/wdsnbp.com
      ipxe: http://192.0.2.1/boot.ipxe
      x64-uefi-http: http://192.0.2.1/x.efi
  linux: {files: {bios: pxelinux.0}}
`)
	var asked []string
	err := c.Check(func(name string) error {
		asked = append(asked, name)
		if name == "pxelinux.0" {
			return nil
		}
		return fs.ErrNotExist
	})
	if want := []string{"pxelinux.0", "boot/x64/wdsnbp.com", "boot/x64/bootmgfw.efi"}; !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	const want = `x.yaml:4:17: profile winpe: x64-uefi: boot file boot/x64/bootmgfw.efi: file does not exist
x.yaml:5:13: profile winpe: bios: boot file boot/x64/wdsnbp.com: file does not exist`
	if err == nil || err.Error() != want || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if err := c.Check(func(string) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestComplete(t *testing.T) {
	const profile = "profiles: {p: {files: {bios: a}}}\n"
	const remote = "profiles: {p: {files: {ipxe: 'http://192.0.2.1/a'}}}\n"
	for text, want := range map[string]string{
		profile: "x.yaml:1:1: no interface to serve (interfaces: [eth0] or interfaces: auto, or -i on the command line)\n" +
			"x.yaml:1:1: no root for boot file a of profile p (root: DIRECTORY, or --root on the command line)",
		profile + "interfaces: auto\n":                           "x.yaml:1:1: no root for boot file a of profile p (root: DIRECTORY, or --root on the command line)",
		remote + "interfaces: eth0\n":                            "",
		profile + "interfaces: eth0\nroot: /a\n":                 "",
		profile + "root: /a\ninterfaces: []\n":                   "x.yaml:3:13: no interface to serve (interfaces: [eth0] or interfaces: auto, or -i on the command line)",
		"interfaces: eth0\npolicy: {default: ignore}\nlog: {}\n": "",
	} {
		err := parse(t, text).Complete()
		if got := errorText(err); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestApply(t *testing.T) {
	const text = "interfaces: [eth0]\nroot: /a\n"
	for _, tc := range []struct {
		flags  Flags
		ifaces []string
		auto   bool
		root   string
		err    string
	}{
		{Flags{}, []string{"eth0"}, false, "/a", ""},
		{Flags{Interfaces: []string{"eth1", "eth2"}, Root: "b"}, []string{"eth1", "eth2"}, false, "b", ""},
		{Flags{Interfaces: []string{"auto"}}, nil, true, "/a", ""},
		{Flags{Interfaces: []string{"eth1", "eth1"}}, nil, false, "", "interface eth1 is named twice"},
		{Flags{Interfaces: []string{"eth1", "auto"}}, nil, false, "", "interface auto stands alone"},
		{Flags{Interfaces: []string{"a/b"}}, nil, false, "", `bad interface name "a/b"`},
	} {
		c := parse(t, text)
		err := c.Apply(tc.flags)
		if errorText(err) != tc.err {
			t.Errorf("%+v: %v, want %s", tc.flags, err, tc.err)
		}
		if err == nil && (!reflect.DeepEqual(c.Interfaces, tc.ifaces) || c.Auto != tc.auto || c.Root != tc.root) {
			t.Errorf("%+v: %q, auto %v, root %s", tc.flags, c.Interfaces, c.Auto, c.Root)
		}
	}
}

func TestProblem(t *testing.T) {
	err := parse(t, "\nroot: /a\n").Problem("root", fs.ErrPermission, "chmod")
	if err.Error() != "x.yaml:2:7: root: permission denied (chmod)" || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
	if got := Default().Problem("root", fs.ErrPermission, "").Error(); got != "root: permission denied" {
		t.Errorf("without a file: %s", got)
	}
}

func TestWarnings(t *testing.T) {
	c := parse(t, `policy:
  rules:
    - {name: a, match: {mac: ["52:*"]}, boot: ignore}
    - {name: b, boot: linux}
    - {name: c, boot: winpe}
    - {name: d, boot: winpe}
profiles:
  winpe: {files: {bios: boot/x64/wdsnbp.com, x64-uefi-http: "http://boot.example/x.efi"}}
  linux: {files: {bios: undionly.kpxe, x64-uefi: SNPonly.efi, x64-uefi-http: "http://192.0.2.1/x.efi"}}
  chain: {files: {bios: undionly.kpxe, ipxe: "http://boot.example/boot.ipxe"}}
`)
	var got []string
	for _, w := range c.Warnings {
		got = append(got, w.Error())
	}
	want := []string{
		"x.yaml:4:7: rule 2 matches every client; those after it never get a turn (the last place is for a rule without match)",
		"x.yaml:8:61: x64-uefi-http: the client's firmware must resolve boot.example, and only can if its DHCP server sends it a DNS server (write its address)",
		"x.yaml:9:25: profile linux boots undionly.kpxe, but has nothing for iPXE when it asks (add ipxe: SCRIPT unless the binary has its script embedded)",
		"x.yaml:10:3: profile chain is in no rule and not the default",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	open := parse(t, "policy: {default: p}\nprofiles: {p: {files: {bios: a}}}\ntftp:\n  single-port: true\n  uploads: {dir: in}\n").Warnings
	if len(open) != 2 || !strings.HasPrefix(open[0].Error(), "x.yaml:4:16: single-port without clients: ") || !strings.HasPrefix(open[1].Error(), "x.yaml:5:3: uploads without clients: ") {
		t.Errorf("%v", open)
	}
	if w := parse(t, "clients: [192.0.2.0/24]\npolicy: {default: p}\nprofiles: {p: {files: {bios: a}}}\ntftp: {single-port: true, uploads: {dir: in}}\n").Warnings; len(w) != 0 {
		t.Errorf("%v", w)
	}
	if w := parse(t, "policy: {default: ignore}\n").Warnings; len(w) != 1 || w[0].Error() != "x.yaml:1:1: no rules and default: ignore: no client is answered (policy: {default: PROFILE})" {
		t.Errorf("%v", w)
	}
}
