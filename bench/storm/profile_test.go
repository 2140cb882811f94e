package storm

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const minimal = `choice: edk2
messages: {vendor-class: PXEClient}
discover: {waits: [1s]}
request: {waits: [1s]}
boot-server: {waits: [1s], port: 4011}
tftp: {wait: 1s, tries: 2}
`

// Every mistake, at its place.
func TestProfileMistakes(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"", "x.yaml:1:1: choice: \"\" is none of edk2, http, ipxe, raspberry-pi, rom"},
		{minimal + "fils: []\n", `x.yaml:7:1: unknown field "fils"`},
		{minimal + "choice: rom\n", `x.yaml:7:1: mapping key "choice" already defined`},
		{strings.Replace(minimal, "edk2", "uefi", 1), `x.yaml:1:9: choice: "uefi" is none of`},
		{strings.Replace(minimal, "{waits: [1s]}", "{waits: [1s, 0s]}", 1), "x.yaml:3:24: discover.waits[1]: 0s is out of bounds"},
		{strings.Replace(minimal, "{waits: [1s]}", "{waits: [soon]}", 1), "x.yaml:3:20: "},
		{strings.Replace(minimal, "{waits: [1s]}", "{waits: []}", 1), "x.yaml:3:"},
		{strings.Replace(minimal, "[1s], port: 4011", "[1s]", 1), "x.yaml:5:"},
		{strings.Replace(minimal, "wait: 1s, tries", "blksize: 9000, wait: 1s, tries", 1), "x.yaml:6:17: tftp.blksize: 9000 is out of bounds (8 to 1468)"},
		{strings.Replace(minimal, "tries: 2", "tries: 0", 1), "x.yaml:6:25: tftp.tries: 0 is out of bounds"},
		{strings.Replace(minimal, "tries: 2", "tries: 2, gap: sometimes", 1), `x.yaml:6:33: gap "sometimes"`},
		{strings.Replace(minimal, "tries: 2", "tries: 2, probe: true", 1), "x.yaml:6:35: tftp.probe: it asks for a size"},
		{minimal + "drop: [ProxyPxe10, Proxy]\n", `x.yaml:7:20: drop[1]: no class of offers is called "Proxy"`},
		{minimal + "secs: minutes\n", `x.yaml:7:7: secs: "minutes" is not tries`},
		{minimal + "nak: again\n", `x.yaml:7:6: nak: "again" is not discover`},
		{minimal + "files:\n  - {name: a}\n  - {name: \"\"}\n", "x.yaml:9:"},
		{strings.Replace(minimal, "PXEClient", "PXEClient, extra: [{code: 255, data: \"00\"}]", 1), "x.yaml:2:"},
		{"like: edk2\nprogram: {blksize: 512}\n", "x.yaml:2:"},
		{"like: edk2\nchoice: [", "x.yaml:2:"},
	} {
		_, err := parseProfile("x.yaml", []byte(c.yaml))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || !errors.As(err, new(*ProfileError)) {
			t.Errorf("%q:\n%v\nwant %s", c.yaml, err, c.want)
		}
	}
	if p, err := parseProfile("dir/x.yaml", []byte(minimal)); err != nil || p.Name != "x" {
		t.Errorf("%v %v", p, err)
	}
}

func TestProfileDir(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := LoadProfiles(dir); err == nil || !strings.Contains(err.Error(), "no *.yaml") {
		t.Errorf("empty directory: %v", err)
	}
	write("lab.yaml", "like: edk2\nfiles: [{name: a}]\n")
	write("bios.yaml", minimal)
	all, err := LoadProfiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	lab := all["lab"]
	if lab.Choice != "edk2" || lab.Discover.Waits[3] != 32*time.Second || !lab.TFTP.Probe || len(lab.Files) != 1 || lab.Program != &lab.TFTP {
		t.Errorf("lab: %+v", lab)
	}
	if all["bios"].Choice != "edk2" || all["windows"] == nil || all["windows"].Program.Blksize != 1456 {
		t.Error("a file does not replace the built-in profile of its name, or others went with it")
	}
	write("deep.yaml", "# a remark\nlike: lab\n")
	if _, err := LoadProfiles(dir); err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, "deep.yaml")+":2:7: like: lab is no profile") {
		t.Errorf("like of like: %v", err)
	}
	write("deep.yaml", "like: http\nchoice: edk2\n")
	if _, err := LoadProfiles(dir); err == nil || !strings.Contains(err.Error(), "profile deep: tftp") {
		t.Errorf("nothing to download with: %v", err)
	}
}

func TestDealAndMix(t *testing.T) {
	all, err := LoadProfiles("")
	if err != nil {
		t.Fatal(err)
	}
	mix, err := all.ParseMix("edk2=5, ipxe=3,bios=2")
	if err != nil {
		t.Fatal(err)
	}
	dealt := Deal(mix, 2000)
	for from := 0; from < 2000; from += 10 {
		count := map[string]int{}
		for _, p := range dealt[from : from+10] {
			count[p.Name]++
		}
		if count["edk2"] != 5 || count["ipxe"] != 3 || count["bios"] != 2 {
			t.Fatalf("machines from %d on: %v", from, count)
		}
	}
	for bad, want := range map[string]string{"edk3": `no profile "edk3" (there are bios, edk2`, "edk2=0": "weight", "edk2=x": "weight", "edk2,edk2": "twice", "": "no profile"} {
		if _, err := all.ParseMix(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", bad, err, want)
		}
	}
}

func TestSetFiles(t *testing.T) {
	all, err := LoadProfiles("")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a,b?", `windows=\Boot\BCD`, "ipxe=none"} {
		if err := all.SetFiles(text); err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string][]File{"edk2": {{Name: "a"}, {Name: "b", Optional: true}}, "windows": {{Name: `\Boot\BCD`}}, "ipxe": nil, "http": nil} {
		if got := all[name].Files; !slices.EqualFunc(got, want, func(a, b File) bool { return a.Name == b.Name && a.Optional == b.Optional }) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for _, bad := range []string{"uefi=a", "", "a,,b"} {
		if err := all.SetFiles(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
