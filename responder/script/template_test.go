package script

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

func data() Data {
	return Data{
		Machine:    Machine{MAC: "52:54:00:12:34:56", UUID: "4c4c4544-0044-4810-8031-b4c04f4a4e31", Name: "db1", Arch: "x64-uefi"},
		Deployment: &Deployment{ID: "d-1", Profile: "linux", Once: true},
		Vars:       map[string]string{"disk": "sda", "role": "db"},
		Server:     Server{Name: "boot1", Address: netip.MustParseAddr("203.0.113.2")},
	}
}

func TestRender(t *testing.T) {
	for text, want := range map[string]string{
		"":         "",
		"#!ipxe\n": "#!ipxe\n",
		"kernel {{.Server.URL}}/vmlinuz host={{.Machine.Name}} disk={{.Vars.disk}}\n": "kernel tftp://203.0.113.2/vmlinuz host=db1 disk=sda\n",
		"{{.Machine.Dashes}} {{.Machine.Hex}} {{upper .Machine.Name}}":                "52-54-00-12-34-56 525400123456 DB1",
		"{{with .Deployment}}{{.ID}} {{.Profile}} {{.Once}}{{end}}":                   "d-1 linux true",
		`{{with index .Vars "console"}}{{.}}{{else}}none{{end}}`:                      "none",
		`{{or (index .Vars "console") "ttyS0"}}`:                                      "ttyS0",
		`{{range $k, $v := .Vars}}{{$k}}={{$v}};{{end}}`:                              "disk=sda;role=db;",
		`{{define "x"}}[{{.}}]{{end}}{{template "x" .Vars.role}}`:                     "[db]",
		`{{range 3}}{{.}}{{end}}{{printf "%05d" 7}}{{urlquery "a b"}}`:                "01200007a+b",
	} {
		tpl, err := Parse("boot.ipxe", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, err := tpl.Render(data()); err != nil || string(got) != want {
			t.Errorf("%q gives %q (%v), want %q", text, got, err, want)
		}
	}
}

// TestErrors: a mistake is told with its place, and makes no file.
func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb {{.Vars.dsk}}":                                            `boot.ipxe:2:10: .Vars.dsk: map has no entry for key "dsk" (variables of this deployment: disk, role)`,
		"{{.Machine.Nmae}}":                                             `boot.ipxe:1:11: .Machine.Nmae: can't evaluate field Nmae in type script.Machine`,
		"\n\n{{if}}x{{end}}":                                            `boot.ipxe:3: missing value for if`,
		"{{.Machine.Name":                                               `boot.ipxe:1: unclosed action`,
		"{{readFile \"/etc/shadow\"}}":                                  `boot.ipxe:1: function "readFile" not defined`,
		`{{template "other.ipxe"}}`:                                     `boot.ipxe:1:12: {{template "other.ipxe"}}: template "other.ipxe" not defined`,
		`{{range 1000000000000}}{{end}}`:                                `boot.ipxe: goes round more than 10000 times`,
		`{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`:         `goes round more than 10000 times`,
		`{{range 200}}{{range 200}}{{end}}{{end}}`:                      `goes round more than 10000 times`,
		`{{$x := "aaaaaaaa"}}{{range 1000}}{{$x = print $x $x}}{{end}}`: `makes a text of more than 65536 bytes`,
		`{{$x := "&&&&&&&&"}}{{range 5000}}{{$x = html $x}}{{end}}`:     `makes texts of more than 8388608 bytes in all`,
		`{{$x := printf "%060000d" 1}}{{range 100}}{{$x}}{{end}}`:       `makes more than 1048576 bytes`,
		`{{range 9000}}{{$x := printf "%060000d" 1}}{{end}}`:            `makes texts of more than 8388608 bytes in all`,
		"x" + strings.Repeat(" ", MaxSource):                            `boot.ipxe: has 262145 bytes, at most 262144`,
	} {
		tpl, err := Parse("boot.ipxe", []byte(text))
		var got []byte
		if err == nil {
			got, err = tpl.Render(data())
		}
		var e *Error
		if !errors.As(err, &e) || got != nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "boot.ipxe") {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
	d := data()
	d.Deployment, d.Vars = nil, nil
	for text, want := range map[string]string{
		"{{.Deployment.ID}}": "boot.ipxe:1:14: .Deployment.ID: nil pointer evaluating *script.Deployment.ID",
		"{{.Vars.disk}}":     "variables of this deployment: none",
	} {
		tpl, err := Parse("boot.ipxe", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Render(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %q, %v; want %s", text, got, err, want)
		}
	}
}

// TestTogether: many machines boot by one template; none has another's steps.
func TestTogether(t *testing.T) {
	tpl, err := Parse("boot.ipxe", []byte(`{{range 5000}}{{end}}{{.Machine.Name}}`))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			d := data()
			d.Machine.Name = name
			if got, err := tpl.Render(d); err != nil || string(got) != name {
				t.Errorf("%q, %v", got, err)
			}
		}()
	}
	wg.Wait()
}

// FuzzTemplate: any template is refused, or ends, within its bounds.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"{{.Vars.disk}}", "{{range 9}}{{.}}{{end}}", `{{define "x"}}{{.}}{{end}}{{template "x" .}}`, `{{printf "%9d" 1 | html | print}}`, "{{break}}", "{{range .Vars}}{{break}}{{else}}x{{end}}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tpl, err := Parse("f", []byte(text))
		if err == nil {
			var out []byte
			if out, err = tpl.Render(data()); len(out) > MaxOutput {
				t.Fatalf("%d bytes", len(out))
			}
		}
		if err != nil && !errors.As(err, new(*Error)) {
			t.Fatalf("%T: %v", err, err)
		}
	})
}
