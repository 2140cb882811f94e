package storm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
)

// Bounds of a profile: beyond them a machine would never end, or not fit a frame.
const (
	maxTries   = 32
	maxWait    = 5 * time.Minute
	maxFiles   = 1000
	maxName    = 400
	maxBlksize = 1468 // a frame of 1500 bytes: machines do not put fragments together
	maxWindow  = 64
)

// check says what is wrong with a profile that was just read: a YAML path and
// why, the first of them. What a profile like another may leave out is fine.
func (p *Profile) check() (where, msg string) {
	alone := p.Like == ""
	if _, ok := choices[p.Choice]; !ok && (alone || p.Choice != "") {
		return "$.choice", fmt.Sprintf("%q is none of %s", p.Choice, strings.Join(slices.Sorted(maps.Keys(choices)), ", "))
	}
	for i, name := range p.Drop {
		if _, ok := kindNamed(name); !ok {
			return fmt.Sprintf("$.drop[%d]", i), fmt.Sprintf("no class of offers is called %q", name)
		}
	}
	if alone && p.Messages.VendorClass == "" {
		return "$.messages.vendor-class", "it is needed"
	}
	if _, err := newRequests(p.Messages); err != nil {
		return "$.messages", err.Error()
	}
	if p.Secs != "" && p.Secs != secsTries {
		return "$.secs", fmt.Sprintf("%q is not %s", p.Secs, secsTries)
	}
	if p.NAK != "" && p.NAK != nakDiscover {
		return "$.nak", fmt.Sprintf("%q is not %s", p.NAK, nakDiscover)
	}
	for _, t := range []struct {
		name   string
		tries  *Tries
		needed bool
	}{{"discover", &p.Discover, alone}, {"request", &p.Request, alone}, {"boot-server", &p.BootServer, false}} {
		if where, msg := t.tries.check(t.needed); msg != "" {
			return "$." + t.name + where, msg
		}
	}
	if len(p.BootServer.Waits) > 0 && p.BootServer.Port == 0 {
		return "$.boot-server.port", "which port does it ask from: 68 or 4011?"
	}
	// Machines that end at a URL download nothing.
	if where, msg := p.TFTP.check(alone && p.Choice != httpChoice); msg != "" {
		return "$.tftp" + where, msg
	}
	if p.Program != nil {
		if where, msg := p.Program.check(true); msg != "" {
			return "$.program" + where, msg
		}
	}
	return p.checkFiles()
}

func (p *Profile) checkFiles() (where, msg string) {
	if p.NBP != nil {
		if msg := p.NBP.check(); msg != "" {
			return "$.nbp", msg
		}
	}
	if len(p.Files) > maxFiles {
		return "$.files", fmt.Sprintf("more than %d", maxFiles)
	}
	for i := range p.Files {
		if msg := p.Files[i].check(); msg != "" {
			return fmt.Sprintf("$.files[%d]", i), msg
		}
	}
	return "", ""
}

func (t *Tries) check(needed bool) (where, msg string) {
	switch {
	case len(t.Waits) == 0 && needed:
		return ".waits", "it is needed: how long it waits for an answer, for each try"
	case len(t.Waits) > maxTries:
		return ".waits", fmt.Sprintf("more than %d tries", maxTries)
	case t.Proxy < 0 || t.Proxy > maxWait:
		return ".proxy", fmt.Sprintf("%v is out of bounds (0 to %v)", t.Proxy, maxWait)
	}
	for i, w := range t.Waits {
		if w <= 0 || w > maxWait {
			return fmt.Sprintf(".waits[%d]", i), fmt.Sprintf("%v is out of bounds (up to %v)", w, maxWait)
		}
	}
	return "", ""
}

func (t *TFTP) check(needed bool) (where, msg string) {
	if !needed && t.Blksize == 0 && t.Windowsize == 0 && t.Tries == 0 && t.Wait == 0 {
		return "", ""
	}
	switch {
	case t.Blksize != 0 && (t.Blksize < 8 || t.Blksize > maxBlksize):
		return ".blksize", fmt.Sprintf("%d is out of bounds (8 to %d)", t.Blksize, maxBlksize)
	case t.Windowsize < 0 || t.Windowsize > maxWindow:
		return ".windowsize", fmt.Sprintf("%d is out of bounds (up to %d)", t.Windowsize, maxWindow)
	case t.Wait <= 0 || t.Wait > maxWait:
		return ".wait", fmt.Sprintf("%v is out of bounds (up to %v)", t.Wait, maxWait)
	case t.Tries < 1 || t.Tries > maxTries:
		return ".tries", fmt.Sprintf("%d is out of bounds (1 to %d)", t.Tries, maxTries)
	case len(t.Extra)%2 != 0 || len(t.Extra) > 16:
		return ".extra", "want at most 8 options: name, value, name, value"
	case t.Probe && !t.Tsize:
		return ".probe", "it asks for a size: tsize must be true"
	}
	return "", ""
}

func (f *File) check() string {
	for _, name := range append([]string{f.Name}, f.Else...) {
		if name == "" || len(name) > maxName || strings.ContainsRune(name, 0) {
			return fmt.Sprintf("a name has 1 to %d bytes and no NUL", maxName)
		}
	}
	return ""
}

// kindNamed returns a class of offers by edk2's name.
func kindNamed(name string) (dhcptest.Kind, bool) {
	for k := dhcptest.DHCPOnly; k <= dhcptest.BOOTP; k++ {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}
