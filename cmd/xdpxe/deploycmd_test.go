package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

// script runs commands and returns them with what they say, for a golden file.
func (o *office) script(t *testing.T, commands ...[]string) string {
	t.Helper()
	var all strings.Builder
	for _, args := range commands {
		r := o.run(t, "", args...)
		fmt.Fprintf(&all, "$ xdpxe %s\n%s%s", strings.Join(args, " "), r.stdout, r.stderr)
		if r.code != 0 {
			fmt.Fprintf(&all, "[exit %d]\n", r.code)
		}
	}
	return strings.ReplaceAll(all.String(), o.socket, "SOCKET")
}

func words(line string) []string { return strings.Fields(line) }

func TestDeployAdd(t *testing.T) {
	o := newOffice(t, nil)
	golden(t, "deploy-add", o.script(t,
		words("deploy add --mac 52:54:00:12:34:56 --profile linux --once --id one"),
		words("deploy add --mac 52-54-00-12-34-56 --profile linux --once --id one"),
		words("deploy add --mac 52:54:00:12:34:56 --profile rescue --once --id one"),
		words("deploy add --uuid "+byUUID+" --profile rescue --id stands --not-before +2h --not-after 23:30"),
		words("groups add rack7 52:54:00:12:34:57"),
		words("deploy add --group rack7 --profile linux --once --milestone file:/linux/initrd.img --id rack --not-before 2026-03-02"),
		words("deploy add --mac 52:54:00:00:00:01,52:54:00:00:00:02 --mac 52:54:00:00:00:03 --profile linux --once --milestone callback --id many"),
	))
	d, ok := o.cat.Snapshot().Deployment("stands", start)
	if !ok || !d.NotBefore.Equal(start.Add(2*time.Hour)) || !d.NotAfter.Equal(time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC)) || d.Once || d.By == "" {
		t.Errorf("%+v", d)
	}
}

// Without --id each call makes another deployment, with an id that the line begins with.
func TestDeployAddOwnID(t *testing.T) {
	o := newOffice(t, nil)
	id, rest, _ := strings.Cut(o.ok(t, "deploy", "add", "--mac", web1, "--profile", "linux"), ": ")
	if _, ok := o.cat.Snapshot().Deployment(id, start); !ok || !strings.Contains(rest, "until this is cancelled") {
		t.Errorf("%q %q", id, rest)
	}
}

func TestDeployAddFile(t *testing.T) {
	o := newOffice(t, nil)
	list := filepath.Join(t.TempDir(), "machines.txt")
	text := "\ufeff# the new rack\r\n52:54:00:00:00:01 hostname=web1 # the first\r\n\r\n  " + byUUID + "\n52-54-00-00-00-02 hostname=web2 disk=/dev/sdb\n"
	if err := os.WriteFile(list, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out := o.ok(t, "deploy", "add", "--file", list, "--profile", "linux", "--once", "--var", "disk=/dev/sda", "--var", "domain=a=b", "--id", "new")
	if n := strings.Count(out, "\n"); n != 3 {
		t.Errorf("%d lines:\n%s", n, out)
	}
	for id, want := range map[string]string{
		"new-525400000001":                           "map[disk:/dev/sda domain:a=b hostname:web1]",
		"new-525400000002":                           "map[disk:/dev/sdb domain:a=b hostname:web2]",
		"new-" + strings.ReplaceAll(byUUID, "-", ""): "map[disk:/dev/sda domain:a=b]",
	} {
		if d, ok := o.cat.Snapshot().Deployment(id, start); !ok || fmt.Sprint(d.Variables) != want {
			t.Errorf("%s: %v %v", id, ok, d.Variables)
		}
	}
	// The same from standard input is a repetition.
	if r := o.run(t, text, words("deploy add --file - --profile linux --once --var disk=/dev/sda --var domain=a=b --id new --json")...); !strings.Contains(r.stdout, `"existed": 3`) {
		t.Errorf("%+v", r)
	}
}

func TestDeployAddJSON(t *testing.T) {
	o := newOffice(t, nil)
	for i, text := range []string{
		`{"id": "a0", "target": {"mac": "52:54:00:00:00:01"}, "profile": "linux", "once": true}` + "\n" + `{"id": "b0", "target": {"mac": "52:54:00:00:00:02"}, "profile": "linux"}`,
		` [{"id": "a1", "target": {"mac": "52:54:00:00:00:01"}, "profile": "linux", "once": true}, {"id": "b1", "target": {"mac": "52:54:00:00:00:02"}, "profile": "linux"}]`,
	} {
		if r := o.run(t, text, words("deploy add -f -")...); r.code != 0 || strings.Count(r.stdout, "\n") != 2 {
			t.Fatalf("%+v", r)
		}
		if d, ok := o.cat.Snapshot().Deployment(fmt.Sprintf("a%d", i), start); !ok || !d.Once || d.Milestone.On != deploy.OnNBP {
			t.Errorf("%v %+v", ok, d)
		}
	}
}

// Thousands are told of by a number.
func TestDeployAddMany(t *testing.T) {
	o := newOffice(t, nil)
	var list strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&list, "52:54:00:01:%02x:%02x\n", i>>8, i&255)
	}
	if r := o.run(t, list.String(), words("deploy add --file - --profile linux --once --id m")...); r.code != 0 || r.stdout != "2500 deployments created, 0 existed already, 0 not created\n" {
		t.Fatalf("%+v", r)
	}
	var page api.Page[deploy.Status]
	if err := json.Unmarshal([]byte(o.ok(t, "deploy", "list", "--json")), &page); err != nil || len(page.Items) != 2500 || page.Next != "" {
		t.Errorf("%v: %d items, next %q", err, len(page.Items), page.Next)
	}
}

// Mistakes are the user's, and say where they are.
func TestDeployAddMistakes(t *testing.T) {
	o := newOffice(t, nil)
	for _, c := range []struct{ args, stdin, want string }{
		{"--profile linux", "", "no machine"},
		{"--mac " + web1, "", "no profile"},
		{"--mac zz --profile linux", "", `--mac: "zz" is no hardware address`},
		{"--mac " + byUUID + " --profile linux", "", "is a UUID"},
		{"--uuid " + web1 + " --profile linux", "", "is a hardware address"},
		{"--mac " + web1 + " --group g --profile linux", "", "none of the others can be"},
		{"--mac " + web1 + " --profile linux --var x", "", `"x" is no variable: NAME=VALUE`},
		{"--mac " + web1 + " --profile linux --var x=1 --var x=2", "", "variable x is given twice"},
		{"--mac " + web1 + " --profile linux --once --milestone file:", "", `--milestone: "file:" is none of`},
		{"--mac " + web1 + " --profile linux --milestone nbp", "", "give --once too"},
		{"--mac " + web1 + " --profile linux --not-before tomorrow", "", `--not-before: "tomorrow" is no time`},
		{"--mac " + web1 + " --profile linux --not-after 2020-01-01", "", "not_after: 2020-01-01T00:00:00Z is in the past"},
		{"--mac " + web1 + " --profile linus", "", "profile"},
		{"--mac " + web1 + "," + db1 + " --profile linux --id A", "", web1 + `: id: "A-525400123456" is no name`},
		{"--group none --profile linux", "", "there is no group none"},
		{"--file /nonexistent/list --profile linux", "", "/nonexistent/list"},
		{"--file - --profile linux", "# nothing\n", "standard input names no machine"},
		{"--file - --profile linux", web1 + "\n  52:54:zz a=b\n", "standard input:2:3: "},
		{"--file - --profile linux", web1 + " a=b c\n", `standard input:1:23: "c" is no variable`},
		{"--file - --profile linux", "[]", "--profile has no place"},
		{"--file -", "[]", "has no deployment"},
		{"--file -", "[{\"id\": \"a\",\n \"id\" \"b\"}]", "standard input:2:7: "},
		{"--file -", `[{"profile": "linux", "onec": true}]`, `standard input: deployment 1: unknown field "onec"`},
		{"--file -", `[{"profile": "linux", "target": {"mac": "52:54:00:00:00:01"}}, {"target": {"mac": "52:54:00:00:00:02"}}]`, "52:54:00:00:00:02: profile: is missing"},
	} {
		t.Run(c.args, func(t *testing.T) {
			r := o.run(t, c.stdin, append(words("deploy add"), words(c.args)...)...)
			if r.code != 1 || r.stdout != "" || !strings.HasPrefix(r.stderr, "xdpxe: ") || !strings.Contains(r.stderr, c.want) {
				t.Errorf("%+v, want %q", r, c.want)
			}
		})
	}
	if n := o.cat.Snapshot().Stats().Deployments; n != 0 {
		t.Errorf("%d deployments", n)
	}
}

// What was created stands, and what was not is told of with exit code 1.
func TestDeployAddPartly(t *testing.T) {
	o := newOffice(t, nil)
	o.ok(t, words("deploy add --mac "+db1+" --profile rescue --id x-525400123457")...)
	r := o.run(t, "", words("deploy add --mac "+web1+","+db1+" --profile linux --id x")...)
	if r.code != 1 || !strings.HasPrefix(r.stdout, "x-525400123456: "+web1+" boots") || strings.Count(r.stdout, "\n") != 1 ||
		!strings.Contains(r.stderr, "xdpxe: 1 deployment not created:\n  "+db1+": deployment x-525400123457: exists and is different") {
		t.Errorf("%+v", r)
	}
}

func TestDeployList(t *testing.T) {
	o := busyOffice(t)
	golden(t, "deploy-list", o.script(t,
		words("deploy list"),
		words("deploy list --open"),
		words("deploy list --state done"),
		words("deploy list --machine "+db1),
		words("deploy list --group rack7"),
		words("deploy list --profile rescue --state failed"),
		words("deploy show old"),
		words("deploy show install-web1"),
		words("deploy show rack7-rescue"),
		words("deploy show wrong"),
		words("deploy show tonight"),
	))
	golden(t, "deploy-show-json", o.ok(t, words("deploy show rack7-rescue --json")...))
}

func TestDeployChange(t *testing.T) {
	o := busyOffice(t)
	golden(t, "deploy-change", o.script(t,
		[]string{"deploy", "cancel", "tonight", "rack7-rescue", "--reason", "next week"},
		words("deploy cancel tonight"),
		words("deploy cancel old"),
		words("deploy cancel nobody"),
		words("deploy arm old"),
		words("deploy arm tonight"),
		words("deploy delete install-web1"),
		words("deploy delete wrong"),
		words("deploy list"),
		words("deploy cancel"),
	))
	var d deploy.Status
	if err := json.Unmarshal([]byte(o.ok(t, words("deploy cancel install-web1 --json")...)), &d); err != nil || d.Run.State != deploy.Cancelled {
		t.Errorf("%v %+v", err, d)
	}
	o.ok(t, words("groups add g 52:54:00:00:00:01")...)
	o.ok(t, words("deploy add --group g --profile linux --once --id g")...)
	o.act(t, "g", "52:54:00:00:00:01", 0, deploy.Event{Kind: deploy.Asked})
	o.act(t, "g", "52:54:00:00:00:01", 0, deploy.Event{Kind: deploy.Called, Failed: true})
	if r := o.run(t, "", words("deploy arm g")...); r.code != 1 || !strings.Contains(r.stderr, "machine: is missing") {
		t.Errorf("%+v", r)
	}
	if out := o.ok(t, words("deploy arm g --machine 52:54:00:00:00:01")...); out != "g: armed: waits for the next network boot\n" {
		t.Error(out)
	}
}
