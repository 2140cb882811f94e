package config

import (
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// TestRuleKeys has all that a rule can say.
func TestRuleKeys(t *testing.T) {
	c, err := Parse("x.yaml", []byte(`
webhooks: {cmdb: {url: "http://192.0.2.1/"}}
policy:
  default: hold
  local: {bios: boot/exit.0}
  rules:
    - {name: racks, match: {arch: [bios]}, boot: deployed, else: local, unknown: hold, delay: 2s, delay-secs: 4}
    - {name: quiet, match: {arch: [x64-uefi]}, boot: linux, unknown: winpe, local: {ipxe: "", uefi: exit.efi}}
    - {name: ask, webhook: cmdb}
profiles:
  linux: {files: {bios: a, x64-uefi: b}, allow: ["linux/*", extra]}
  winpe: {files: {bios: c}}
  never: {files: {bios: d}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []policy.Rule{
		{Name: "racks", Match: policy.Match{Arch: []string{"bios"}}, Boot: "deployed", Else: "local", Unknown: "hold", Delay: 2 * time.Second, DelaySecs: 4},
		{Name: "quiet", Match: policy.Match{Arch: []string{"x64-uefi"}}, Boot: "linux", Unknown: "winpe", Local: &policy.LocalFiles{UEFI: "exit.efi"}},
		{Name: "ask", Webhook: "cmdb"},
	}
	if !reflect.DeepEqual(c.Spec.Rules, want) {
		t.Errorf("rules\n%+v\nwant\n%+v", c.Spec.Rules, want)
	}
	if l := c.Spec.Local; l == nil || *l != (policy.LocalFiles{BIOS: "boot/exit.0", IPXE: policy.ExitScript}) || c.Spec.Default != "hold" {
		t.Errorf("local %+v, default %s", l, c.Spec.Default)
	}
	if p := c.Spec.Profiles["linux"]; !reflect.DeepEqual(p.Allow, []string{"linux/*", "extra"}) {
		t.Errorf("allow %q", p.Allow)
	}
	for _, w := range c.Warnings {
		if strings.Contains(w.Error(), "never") {
			t.Errorf("deployments may name it, but: %v", w)
		}
	}
}

// Files that send machines to their disks must be there, too.
func TestCheckLocal(t *testing.T) {
	c, err := Parse("x.yaml", []byte("policy: {default: deployed, local: {bios: exit.0}}\nprofiles: {p: {files: {bios: a}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	err = c.Check(func(name string) error {
		if asked = append(asked, name); name == "exit.0" {
			return fs.ErrNotExist
		}
		return nil
	})
	if err == nil || !strings.HasPrefix(err.Error(), "x.yaml:1:43: local: bios: boot file exit.0: ") || len(asked) != 2 {
		t.Errorf("asked about %q: %v", asked, err)
	}
}
