package bootfile

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/binding"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/script"
	"github.com/xdpxe/xdpxe/responder/tftp"
)

const everything = `{{with .Machine}}{{.MAC}} {{.Dashes}} {{.UUID}} {{.Name}} {{.Arch}} {{.Address}} {{.CircuitID}}{{end}}
{{with .Deployment}}{{.ID}} {{.Profile}} {{.Once}} {{.Note}} {{.CallbackToken}}{{end}}
{{.Vars.disk}} {{.Server.Name}} {{.Server.URL}}
`

func TestTemplates(t *testing.T) {
	cat, _ := catalogue(t)
	create(t, cat, deploy.Deployment{ID: "d", Target: deploy.Target{MAC: macA}, Profile: "linux", Note: "rack 7", Variables: map[string]string{"disk": "/dev/sda"}})
	name := "web-1"
	if err := cat.Describe(t.Context(), macA, 0, &name, nil); err != nil {
		t.Fatal(err)
	}
	a := answered(macA, "d")
	a.CircuitID = []byte("eth 0/1")
	people := names{home: a, other: {MAC: macB, Profile: "linux", CircuitID: []byte("line\nboot")}}
	token := func(run deploy.RunID) (string, error) { return "token-of-" + run.ID + "-" + run.Machine.String(), nil }
	b := newBed(t, Config{Names: people, Catalogue: cat, Token: token}, settings(t, false), map[string]string{
		"linux/All.cfg.tmpl": everything, "circuit.tmpl": "{{.Machine.CircuitID}}", "empty.tmpl": "", "both": "file", "both.tmpl": "template",
		"none.ipxe.tmpl": "#!ipxe\n{{.Vars.missing}}", "bad.ipxe.tmpl": "#!ipxe\nx {{if}}\n", "field.tmpl": "\n\n  {{.Machine.Nmae}}", "vast.tmpl": strings.Repeat("x", script.MaxSource+1),
	}).run()
	b.get(home, `\linux\ALL.cfg`, "02:00:00:00:00:0a 02-00-00-00-00-0a 4c4c4544-0044-4810-8031-b4c04f4a4e31 web-1 bios 127.0.0.1 eth 0/1\n"+
		"d linux false rack 7 token-of-d-02:00:00:00:00:0a\n/dev/sda srv1 tftp://127.0.0.1\n")
	b.get(other, "circuit", "6c696e650a626f6f74") // no line break of a stranger's in a script
	b.get(home, "empty", "")
	b.get(home, "both", "template")
	b.get(home, "linux/initrd", "initrd")
	b.refused(home, "both.tmpl", 1, "not found")
	b.refused(home, "BOTH.Tmpl", 1, "not found")
	b.refused(home, "none", 1, "not found")
	b.refused(third, "circuit", 2, "not known")

	// What is wrong is for the operator, with its place; the client hears where to look.
	for _, c := range []struct{ file, why string }{
		{"none.ipxe", "none.ipxe.tmpl:2:8: "},
		{"bad.ipxe", "bad.ipxe.tmpl:2: missing value for if"},
		{"field", "field.tmpl:3:13: "},
		{"vast", "vast.tmpl: has 262145 bytes, at most 262144"},
	} {
		b.refused(home, c.file, 0, "see the server's log")
		if h := b.heard.await(t, c.file, "bad_template"); !strings.HasPrefix(h.Why, filepath.Join(b.dir, c.why)) {
			t.Errorf("%s: heard of %q, want %q", c.file, h.Why, c.why)
		}
		var wrong *script.Error
		if g := b.ask(home, c.file); g.How != tftp.BadTemplate || !errors.As(g.Err, &wrong) {
			t.Errorf("%s: %+v", c.file, g)
		}
	}
	// A machine without a deployment has no variables.
	b.refused(other, "linux/all.cfg", 0, "see the server's log")

	// Another template by the same name is another.
	b.write("circuit.tmpl", "now {{.Machine.MAC}}")
	b.get(other, "circuit", "now 02:00:00:00:00:0b")
}

// A template is parsed once, and not many are remembered.
func TestTemplatesAreRemembered(t *testing.T) {
	b := newBed(t, Config{Names: names{home: {MAC: macA}}}, settings(t, false), map[string]string{"a.tmpl": "{{.Machine.MAC}}"})
	for range 2 {
		if g := b.ask(home, "a"); string(g.Content) != macA.String() {
			t.Fatalf("%+v", g)
		}
	}
	if n := len(b.gate.scripts.parsed); n != 1 {
		t.Errorf("%d are remembered", n)
	}
	for i := range maxParsed {
		b.gate.scripts.parsed[parsedID{name: string(rune(i))}] = nil
	}
	b.write("b.tmpl", "b")
	if g := b.ask(home, "b"); string(g.Content) != "b" || len(b.gate.scripts.parsed) > maxParsed {
		t.Errorf("%+v, %d are remembered", g, len(b.gate.scripts.parsed))
	}
}

func TestWithoutCatalogue(t *testing.T) {
	b := newBed(t, Config{Names: names{home: binding.Machine{MAC: macA, Profile: "linux", Deployment: "of another time"}}}, settings(t, false), map[string]string{"a.tmpl": "{{.Machine.MAC}}{{with .Deployment}}!{{end}}"}).run()
	b.get(home, "a", macA.String())
	b.get(home, "pxe/linux.0", files()["pxe/linux.0"])
	b.get(third, "pxe/linux.0", files()["pxe/linux.0"])
	if h := b.heard.await(t, "pxe/linux.0", "complete"); h.Profile != "linux" || h.Deployment != "" || h.Address != home {
		t.Errorf("heard of %+v", h)
	}
}

// TestVariablesOfAWebhook: who boots without a deployment has those of the
// program that said what it boots, for that profile.
func TestVariablesOfAWebhook(t *testing.T) {
	s := settings(t, false)
	s.Variables = func(mac []byte, profile string, _ time.Time) map[string]string {
		if string(mac) != string(macA.Bytes()) || profile != "linux" {
			return nil
		}
		return map[string]string{"disk": "sda"}
	}
	b := newBed(t, Config{Names: names{home: {MAC: macA, Profile: "linux"}, other: {MAC: macB, Profile: "linux"}}}, s, map[string]string{"a.tmpl": "{{.Vars.disk}}"}).run()
	b.get(home, "a", "sda")
	b.refused(other, "a", 0, "")
}

func TestCheck(t *testing.T) {
	b := newBed(t, Config{Names: names{}}, settings(t, false), map[string]string{
		"boot.ipxe.tmpl": "{{", "linux/good.tmpl": "{{.Vars.x}}", "Linux/Bad.TMPL": "\n{{end}}", "linux/deep/bad.tmpl": "{{.", "elsewhere.tmpl": "{{", "win/vast.tmpl": strings.Repeat("x", script.MaxSource+1),
	})
	var got []string
	for _, err := range Check(b.root, settings(t, false).Policy) {
		var e *script.Error
		if !errors.As(err, &e) {
			t.Errorf("%v has no place", err)
			continue
		}
		got = append(got, strings.TrimPrefix(e.File, b.dir+"/"))
	}
	if want := "boot.ipxe.tmpl Linux/Bad.TMPL linux/deep/bad.tmpl win/vast.tmpl"; strings.Join(got, " ") != want {
		t.Errorf("wrong are %q, want %q", got, want)
	}
	if !HasTemplates(b.root) {
		t.Error("it has templates")
	}
	if b := newBed(t, Config{Names: names{}}, settings(t, false), nil); HasTemplates(b.root) {
		t.Error("it has none")
	}
}
