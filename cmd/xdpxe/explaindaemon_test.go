package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/responder/api"
)

// racksYAML goes by deployments, and its control socket is the one of %s.
const racksYAML = `interfaces: [xdpxe-none0]
address: 198.51.100.2
control: %s
root: srv
policy:
  rules:
    - name: racks
      match: {mac: ["52:54:00:*"]}
      boot: deployed
      unknown: hold
profiles:
  linux: {files: {bios: undionly.kpxe, x64-uefi: EFI/snponly.efi, ipxe: boot.ipxe}}
`

// racks is a site whose daemon has that control socket.
func racks(t *testing.T, socket string) string {
	return site(t, strings.ReplaceAll(racksYAML, "%s", socket), labFiles...)
}

// Where rules go by deployments, the daemon of the configuration is asked too.
func TestExplainAsksDaemon(t *testing.T) {
	o := newOffice(t, nil)
	path := racks(t, o.socket)
	for name, mac := range map[string]string{"deployed": web1, "held": lab3} {
		r := operator(t, "", "explain", "-c", path, "--mac", mac, "--arch", "x64-uefi")
		if r.code != 0 || r.stderr != "" {
			t.Fatalf("%+v", r)
		}
		golden(t, "explain-daemon-"+name, r.stdout)
	}
	r := operator(t, "", "explain", "-c", path, "--mac", web1, "--arch", "x64-uefi", "--json")
	var rep report
	if err := json.Unmarshal([]byte(r.stdout), &rep); err != nil || rep.Daemon == nil || rep.Daemon.Deployment != "install-web1" || len(rep.Daemon.Steps) != 2 || len(rep.Messages) != 1 {
		t.Errorf("%v: %+v", err, r)
	}
}

// Rules without deployments need no daemon, and none is asked.
func TestExplainAsksNobody(t *testing.T) {
	o := newOffice(t, func(opts *api.Options) {
		opts.Explain = func(api.Query) (*api.Explanation, error) {
			t.Error("the daemon was asked")
			return nil, nil
		}
	})
	r := operator(t, "", "explain", "-c", site(t, labYAML, labFiles...), "--socket", o.socket, "--mac", web1, "--arch", "x64-uefi")
	if r.code != 0 || strings.Contains(r.stdout, "daemon") {
		t.Errorf("%+v", r)
	}
}

// Without a daemon the answer by the rules stands, and what it leaves out is said.
func TestExplainWithoutDaemon(t *testing.T) {
	r := operator(t, "", "explain", "-c", racks(t, "/nonexistent/c.sock"), "--mac", web1, "--arch", "x64-uefi")
	want := "The running daemon: what stands above leaves out deployments, approvals and held machines: control socket /nonexistent/c.sock: no daemon answers there\n"
	if r.code != 0 || !strings.Contains(r.stdout, want) || !strings.Contains(r.stdout, "=> silence, machine_held") {
		t.Errorf("%+v", r)
	}
	// Of a capture the daemon is not asked.
	capture := writePcap(t, labFrames(t)[1:2], false)
	if r = operator(t, "", "explain", "-c", racks(t, "/nonexistent/c.sock"), "--pcap", capture); r.code != 0 || !strings.Contains(r.stdout, "ask it about one machine with --mac and --arch") {
		t.Errorf("%+v", r)
	}
}

// Without a configuration the daemon alone is asked.
func TestExplainByDaemon(t *testing.T) {
	o := newOffice(t, nil)
	golden(t, "explain-by-daemon", o.script(t,
		words("explain --mac "+web1+" --arch x64-uefi"),
		words("explain --mac "+lab3+" --arch bios"),
		words("explain --mac "+lab3+" --arch bias"),
		words("explain --mac "+lab3),
	))
	if r := operator(t, "", "explain", "--mac", web1, "--arch", "bios", "--socket", "/nonexistent/c.sock"); r.code != 2 || !strings.Contains(r.stderr, "no daemon answers there") {
		t.Errorf("%+v", r)
	}
	if r := operator(t, "", "explain", "--pcap", "x.pcap", "--server", "https://boot1"); r.code != 1 || !strings.Contains(r.stderr, "give -c FILE") {
		t.Errorf("%+v", r)
	}
}
