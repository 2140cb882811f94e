package e2e

import (
	"context"
	"errors"
	"testing"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// onlyOthers serves clients that no machine of these tests is.
const onlyOthers = `
policy:
  default: ignore
  rules:
    - {name: others, match: {mac: ["02:00:00:00:00:01"]}, boot: lab}
profiles:
  lab: {files: {bios: ` + lab.BIOSProgram + `, x64-uefi: ` + lab.UEFIProgram + `, ipxe: ` + lab.Script + `}}
`

// A client that no rule names hears nothing from xdpxe and boots from its next device.
func TestUnnamedClientBootsOn(t *testing.T) {
	labtest.Need(t, true)
	t.Parallel()
	ctx := labtest.Context(t, patience)
	r, daemons := rack(ctx, t, lab.Flat, lab.DaemonConfig{Policy: onlyOthers})

	m, err := r.Boot(lab.MachineOptions{Name: "bios", Firmware: lab.BIOS, Disk: true})
	if err != nil {
		t.Fatal(err)
	}
	labtest.ShowOnFailure(t, m.Process)
	for _, style := range []client.Style{client.EDK2, client.IPXE} {
		node, err := r.AddClient(style.String())
		if err != nil {
			t.Fatal(err)
		}
		out, err := (&client.Client{Node: node, Style: style, Arch: archX64}).Boot(ctx)
		if !errors.Is(err, client.ErrNoBootServer) || len(out.Offers) > 0 {
			t.Errorf("%v: offers from %v, %v; want none and ErrNoBootServer", style, out.Offers, err)
		}
	}
	if _, err := m.Log.Wait(ctx, lab.DiskMark); err != nil {
		t.Fatalf("the machine does not boot from its disk: %v", err)
	}
	checkSilence(ctx, t, daemons[0])
}

// The same with UEFI firmware, which gives up on the network after its four
// DISCOVERs (60 s) and turns to the next entry of its boot order.
func TestUnnamedUEFIBootsOn(t *testing.T) {
	labtest.Need(t, true)
	t.Parallel()
	ctx := labtest.Context(t, patience)
	r, daemons := rack(ctx, t, lab.Flat, lab.DaemonConfig{Policy: onlyOthers})
	m, err := r.Boot(lab.MachineOptions{Name: "uefi", Firmware: lab.UEFI})
	if err != nil {
		t.Fatal(err)
	}
	labtest.ShowOnFailure(t, m.Process)
	if _, err := m.Log.Wait(ctx, lab.OVMFNext); err != nil {
		t.Fatalf("the machine does not go on to its next boot entry: %v", err)
	}
	checkSilence(ctx, t, daemons[0])
}

// checkSilence wants every request accounted for, and none answered.
func checkSilence(ctx context.Context, t *testing.T, d *lab.Daemon) {
	t.Helper()
	s, err := d.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if s.Count("answered") != 0 || s.Count("default_ignore") == 0 {
		t.Errorf("counted %+v; want none answered and some default_ignore", s.Requests)
	}
}
