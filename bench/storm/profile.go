package storm

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/tftpc"
)

// Profile is one kind of firmware, as its file says: what it sends, how long
// it waits, how it chooses among offers, and what it downloads.
type Profile struct {
	Name  string `yaml:"-"` // the file's, without .yaml
	About string `yaml:"about"`
	// Like names a profile that this one differs from: what is not written here is as there.
	Like     string     `yaml:"like"`
	Choice   string     `yaml:"choice"`   // how it chooses among offers: a key of choices
	Drop     []string   `yaml:"drop"`     // classes of offers (dhcptest.Kind) that it throws away
	Messages dhcpc.Spec `yaml:"messages"` // what all that it sends by DHCP has in common
	Secs     string     `yaml:"secs"`     // "": seconds; "tries": iPXE's counter
	Discover Tries      `yaml:"discover"`
	Request  Tries      `yaml:"request"`
	// BootServer is how it asks on UDP 4011; without waits it never does.
	BootServer Tries `yaml:"boot-server"`
	TFTP       TFTP  `yaml:"tftp"` // how it downloads the NBP
	// NBP is the first file where that is fixed; else the offer names it.
	NBP     *File  `yaml:"nbp"`
	Program *TFTP  `yaml:"program"` // how the NBP downloads the files; default: as the firmware
	Files   []File `yaml:"files"`   // what is downloaded after the NBP, in order
	// NAK "discover": a NAK makes it look for offers again; else it gives up (edk2's DhcpHandleRequest).
	NAK string `yaml:"nak"`
	// IgnoreICMP: it does not notice that a port is unreachable.
	IgnoreICMP bool `yaml:"ignore-icmp"`

	requests requests
	likeAt   ProfileError // where Like is written
}

// Tries are the waits for an answer, one for each time that a request is sent.
type Tries struct {
	Waits []time.Duration `yaml:"waits"`
	// Proxy is how long a DISCOVER that has a lease goes on waiting for a boot server.
	Proxy   time.Duration `yaml:"proxy"`
	Port    uint16        `yaml:"port"`    // the client's, of requests on 4011
	Collect bool          `yaml:"collect"` // an answer does not end the wait

	secs []uint16 // since the first try, by the firmware's own clock
}

// TFTP is how a program downloads. What is not written is as in edk2.
type TFTP struct {
	Blksize    int      `yaml:"blksize"`
	Windowsize int      `yaml:"windowsize"`
	Tsize      bool     `yaml:"tsize"`
	Extra      []string `yaml:"extra"` // further options: name, value, name, value

	// Probe asks for a file's size first, aborts that transfer with ERROR 8, and starts another.
	Probe   bool          `yaml:"probe"`
	Wait    time.Duration `yaml:"wait"`    // until something is sent again
	Backoff bool          `yaml:"backoff"` // Wait doubles
	Tries   int           `yaml:"tries"`   // sends of one packet

	Gap       tftpc.Gap       `yaml:"gap"`
	Duplicate tftpc.Duplicate `yaml:"duplicate"`
	OACK      tftpc.OACK      `yaml:"oack"`
}

// File is one file to download. {serial} in a name is the machine's serial
// number, the last four bytes of its MAC in hex.
type File struct {
	Name     string   `yaml:"name"`
	Else     []string `yaml:"else"`     // asked for, in order, where the server has no such file
	Optional bool     `yaml:"optional"` // none of them is needed
}

func (p *Profile) inherit(base *Profile) {
	p.Choice = cmp.Or(p.Choice, base.Choice)
	if p.Messages.VendorClass == "" {
		p.Messages = base.Messages
	}
	for _, t := range []struct{ own, base *Tries }{{&p.Discover, &base.Discover}, {&p.Request, &base.Request}, {&p.BootServer, &base.BootServer}} {
		if len(t.own.Waits) == 0 {
			*t.own = *t.base
		}
	}
	if p.TFTP.Blksize == 0 {
		p.TFTP = base.TFTP
	}
	p.NAK, p.IgnoreICMP = cmp.Or(p.NAK, base.NAK), p.IgnoreICMP || base.IgnoreICMP
	p.Secs = cmp.Or(p.Secs, base.Secs)
	p.NBP, p.Program = cmp.Or(p.NBP, base.NBP), cmp.Or(p.Program, base.Program)
	if p.Files == nil {
		p.Files = base.Files
	}
	if p.Drop == nil {
		p.Drop = base.Drop
	}
}

// finish derives what the machines of a complete profile need.
func (p *Profile) finish() (err error) {
	if where, msg := p.TFTP.check(p.Choice != httpChoice); msg != "" {
		return fmt.Errorf("profile %s: tftp%s: %s", p.Name, where, msg)
	}
	if p.Program == nil {
		p.Program = &p.TFTP
	}
	for _, t := range []*Tries{&p.Discover, &p.Request, &p.BootServer} {
		t.secs = nil
		var since time.Duration
		for _, w := range t.Waits {
			t.secs = append(t.secs, uint16(since/time.Second))
			since += w
		}
	}
	if p.requests, err = newRequests(p.Messages); err != nil {
		return fmt.Errorf("profile %s: %w", p.Name, err)
	}
	return nil
}

// Hurry returns the profile with all its waits divided by a factor. What it
// says of the time in its messages stays what the firmware would say.
func (p *Profile) Hurry(factor float64) *Profile {
	if factor == 1 {
		return p
	}
	shorter := func(d time.Duration) time.Duration { return time.Duration(float64(d) / factor) }
	q := *p
	for _, t := range []*Tries{&q.Discover, &q.Request, &q.BootServer} {
		t.Waits, t.Proxy = slices.Clone(t.Waits), shorter(t.Proxy)
		for i := range t.Waits {
			t.Waits[i] = shorter(t.Waits[i])
		}
	}
	program := *p.Program
	q.Program = &program
	q.TFTP.Wait, q.Program.Wait = shorter(q.TFTP.Wait), shorter(q.Program.Wait)
	return &q
}
