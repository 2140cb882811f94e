package client_test

import (
	"crypto/sha256"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

const archX64 = 7

// Both kinds of client boot through a boot server that is known to be right,
// so that what they find in ours is ours.
func TestBootThroughDNSMasq(t *testing.T) {
	labtest.Need(t, false)
	for _, topology := range []lab.Topology{lab.Flat, lab.Relayed} {
		t.Run(topology.String(), func(t *testing.T) {
			ctx := labtest.Context(t, time.Minute)
			r, root := labtest.Rack(ctx, t, topology)
			server, err := r.AddBootServer()
			if err != nil {
				t.Fatal(err)
			}
			boot, err := r.StartDNSMasqBoot(ctx, server, root, nil)
			if err != nil {
				t.Fatal(err)
			}
			labtest.ShowOnFailure(t, boot)
			if topology == lab.Relayed {
				if _, err := r.StartRelay(ctx, []netip.Addr{r.DHCP.Addr, server.Addr}, nil); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range []struct {
				style    client.Style
				file     string
				asks4011 bool
			}{
				{client.EDK2, lab.UEFIProgram, true},
				{client.IPXE, lab.Script, false},
			} {
				node, err := r.AddClient("client-" + c.style.String())
				if err != nil {
					t.Fatal(err)
				}
				out, err := (&client.Client{Node: node, Style: c.style, Arch: archX64}).Boot(ctx)
				if err != nil {
					t.Fatalf("%v: %v", c.style, err)
				}
				want, err := os.ReadFile(filepath.Join(root, c.file))
				if err != nil {
					t.Fatal(err)
				}
				if out.File != c.file || out.SHA256 != sha256.Sum256(want) || out.BootServer != server.Addr || out.Asked4011 != c.asks4011 {
					t.Errorf("%v: got %s (%d bytes) from %v, 4011 asked: %v", c.style, out.File, out.Size, out.BootServer, out.Asked4011)
				}
			}
		})
	}
}

func TestBootWithoutServers(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, time.Minute)
	l := labtest.New(t)
	r, err := l.NewRack(ctx, lab.Flat)
	if err != nil {
		t.Fatal(err)
	}
	node, err := r.AddClient("client")
	if err != nil {
		t.Fatal(err)
	}
	c := &client.Client{Node: node, Arch: archX64, Tries: []time.Duration{100 * time.Millisecond}}
	if _, err := c.Boot(ctx); !errors.Is(err, client.ErrNoDHCP) {
		t.Errorf("without any server: %v, want ErrNoDHCP", err)
	}
	if _, err := r.StartDHCP(ctx, r.DHCP, nil); err != nil {
		t.Fatal(err)
	}
	c.Tries = []time.Duration{time.Second}
	if _, err := c.Boot(ctx); !errors.Is(err, client.ErrNoBootServer) {
		t.Errorf("with a DHCP server only: %v, want ErrNoBootServer", err)
	}
}
