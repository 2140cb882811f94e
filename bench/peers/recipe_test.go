package peers

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBuiltin(t *testing.T) {
	recipes, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range recipes {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	if want := []string{"atftpd", "bounce", "dnsmasq", "pin-tftp", "tftpd-hpa", "xdpxe"}; !slices.Equal(names, want) {
		t.Errorf("recipes %q, want %q", names, want)
	}
}

// A kind decides about whole lines and arguments.
func TestFill(t *testing.T) {
	recipes, err := Parse("mine.yaml", []byte(`
- name: mine
  kinds: [dhcp, tftp]
  variants: {dhcp: [fast, slow]}
  command: [minED, "-i{{.Interface}}", '{{if eq .Kind "tftp"}}--tftp{{end}}', 77, "{{.Variant}}"]
  env: {LISTEN: "{{.Address}}:{{.Port}}"}
  files:
    conf: |
      net {{.Network}}/{{.Netmask}}
  about: "{{.Variant}} answers"
  ready: {udp: [69]}
`))
	if err != nil {
		t.Fatal(err)
	}
	v := Vars{Kind: DHCP, Variant: "slow", Interface: "eth7", Address: netip.MustParseAddr("192.0.2.9"),
		Network: netip.MustParseAddr("192.0.2.0"), Netmask: netip.MustParseAddr("255.255.255.0"), Port: 69}
	f, err := recipes[0].fill(v)
	if err != nil {
		t.Fatal(err)
	}
	if f.about != "slow answers" {
		t.Errorf("about %q", f.about)
	}
	if want := []string{"minED", "-ieth7", "77", "slow"}; !slices.Equal(f.command, want) {
		t.Errorf("command %q, want %q", f.command, want)
	}
	if want := []string{"LISTEN=192.0.2.9:69"}; !slices.Equal(f.env, want) {
		t.Errorf("environment %q, want %q", f.env, want)
	}
	if got, want := f.files["conf"], "net 192.0.2.0/255.255.255.0\n"; got != want {
		t.Errorf("file %q, want %q", got, want)
	}
	v.Kind = TFTP
	if f, err = recipes[0].fill(v); err != nil || f.command[2] != "--tftp" {
		t.Errorf("for TFTP: %q, %v", f.command, err)
	}
}

func TestMistakes(t *testing.T) {
	const good = "- name: x\n  kinds: [dhcp]\n  ready: {log: hi}\n"
	for _, c := range []struct{ text, want string }{
		{"", "f.yaml: no recipe"},
		{"- \n", "f.yaml: recipe 1 is empty"},
		{"- name: x\n  kind: [dhcp]\n", `f.yaml:2:3: unknown field "kind"`},
		{"- name: x\n  kinds: [dhcp, http]\n", `f.yaml:2:17: unknown kind "http"`},
		{"- name: x\n  kinds: [dhcp]\n  command: [x]\n", "ready is missing"},
		{"- kinds: [dhcp]\n", "f.yaml:1:8: a recipe without a name"},
		{"- name: x\n", "kinds is missing"},
		{"- name: x/y\n", `f.yaml:1:7: name "x/y": no slash`},
		{good, "command is missing"},
		{good + "  command: [x, {a: b}]\n", "f.yaml:4:16: must be a text"},
		{good + "  command: [x, '{{.Adress}}']\n", "f.yaml:4:16: "},
		{good + "  command: [x, '{{.Adress}}']\n", "can't evaluate field Adress"},
		{good + "  command: [x, '{{if}}']\n", "f.yaml:4:16: missing value for if"},
		{good + "  command: [x]\n  files: {a/b: c}\n", `"a/b" is not the name of a file`},
		{good + "  command: [x]\n  version: {pattern: '('}\n", "f.yaml:5:22: error parsing regexp"},
		{good + "  command: [x]\n  version: {pattern: 'v1'}\n", "f.yaml:5:22: needs a group"},
		{good + "  command: [x]\n  ready: {log: a}\n", `f.yaml:5:3: `},
		{good + "  command: [x]\n" + good + "  command: [y]\n", `two recipes are called "x"`},
		{good + "  command: [x]\n  ready2: [\n", "f.yaml:5:"},
	} {
		recipes, err := Parse("f.yaml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q:\n got %v, %v\nwant %q", c.text, recipes, err, c.want)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "my-server")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"my-server, $1 4.2\" >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	recipes, err := Parse("f.yaml", []byte(`
- name: mine
  kinds: [dhcp, tftp]
  variants: {dhcp: [fast, slow]}
  command: [my-server]
  search: [`+dir+`]
  version: {args: [version], pattern: '^my-server, version (\S+)'}
  ready: {udp: [69]}
- name: lost
  kinds: [tftp]
  command: [my-other-server]
  ready: {udp: [69]}
`))
	if err != nil {
		t.Fatal(err)
	}
	found, err := recipes[0].Find(t.Context(), DHCP, Programs{})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[0].Name != "mine fast" || found[1].Name != "mine slow" || found[1].Program != program || found[1].Version != "4.2" {
		t.Errorf("found %+v", found)
	}
	if found, err = recipes[0].Find(t.Context(), TFTP, Programs{}); err != nil || len(found) != 1 || found[0].Name != "mine" {
		t.Errorf("found %+v, %v", found, err)
	}
	_, err = recipes[1].Find(t.Context(), TFTP, Programs{})
	if _, ok := err.(*NotFoundError); !ok || !strings.Contains(err.Error(), "lost: there is no my-other-server") || !strings.Contains(err.Error(), CacheDir) {
		t.Errorf("of what is not there: %v", err)
	}
}

func TestHasPort(t *testing.T) {
	table := []byte("   sl  local_address rem_address   st tx_queue\n" +
		"  205: 0A0200C0:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0\n")
	if !hasPort(table, 69) || hasPort(table, 68) || hasPort(nil, 69) {
		t.Error("port 69 is bound, 68 is not")
	}
}
