package config

import (
	"math/bits"

	"github.com/goccy/go-yaml/ast"
)

// Guard bounds how much of what comes in gets any work: what one client asks,
// and what all together may cost. It works where XDP does.
type Guard struct {
	Enabled       bool
	PerClient     GuardRate   // DHCP requests of one MAC, or of one MAC behind a relay
	PerTFTPClient GuardRate   // datagrams of one address to the port of the file server
	Requests      GuardBudget // DHCP requests that the daemon decides
	Broadcasts    GuardBudget // DHCP requests whose answer is broadcast
	TFTP          GuardBudget // datagrams to the port of the file server
	Memory        int64       // bytes that say who asked in the last 6 to 12 s; as much again is taken
	Clients       int         // of whom count is kept
}

// GuardRate is so many a second, and so many at once after a pause. A rate of 0 has no bound.
type GuardRate struct{ Rate, Burst int }

// GuardBudget is for all together, on one interface; Known percent of it are
// for those alone who asked before.
type GuardBudget struct {
	GuardRate
	Known int
}

// Bounds of the guard.
const (
	maxGuardRate   = 10_000_000
	maxGuardKnown  = 99
	minGuardMemory = 64 << 10
	maxGuardMemory = 1 << 30
	minGuardSource = 1024
	maxGuardSource = 1 << 24
)

// defaultGuard is what no real rack meets, and what a flood is held to.
//
// A client. Firmware waits 1 s at least before it asks again (PXE 2.1 §2.2.3:
// 4, 8, 16, 32 s for DISCOVER and 1, 2, 3, 4 s on 4011; edk2 the same, iPXE 1, 2,
// 4 s), and a boot is three to six requests: firmware, 4011, iPXE, and HTTP boot or a
// second loader. 10 a second for ever, and 50 at once, is what ten boots of the
// same machine within a second would take. A relay that is one of several counts by
// itself.
//
// A file client. Firmware asks twice for a file (edk2 asks its size first), and
// loaders ask for one file after the other, each after the last one's end: GRUB for
// some 200 modules, PXELINUX for up to 12 names. 2,000 at once and 500 a second for
// ever are ten GRUBs, or a rack's firmware, behind one address (NAT). That an
// address fetches what it asks for is the file server's own bound.
//
// All. 2,000 machines behind a relay, switched on in the same instant, are 2,000
// first requests; a site of 10,000 machines is 10,000. First requests get the part
// that is not kept: 10,000 at once and 2,500 a second after it, handed up; 5,000 at
// once and 2,500 a second where the answer is broadcast, since no segment has more
// machines than that, and each of them has to look at every one of these
// frames. Second requests, 4 s later, then have as much again, to which a flood of
// 500,000 strangers a second takes 500 (bpf/guard.h). First file
// requests: 2,400 at once and 600 a second, for each may hold one of 10,000 places of the file
// server for 15 s if its address is forged; who asked for a file before has 19,400
// a second.
func defaultGuard() Guard {
	return Guard{
		Enabled:       true,
		PerClient:     GuardRate{10, 50},
		PerTFTPClient: GuardRate{500, 2000},
		Requests:      GuardBudget{GuardRate{5000, 20_000}, 50},
		Broadcasts:    GuardBudget{GuardRate{5000, 10_000}, 50},
		TFTP:          GuardBudget{GuardRate{20_000, 80_000}, 97},
		Memory:        8 << 20,
		Clients:       1 << 16,
	}
}

func (r *reader) guard(g *Guard) map[string]setter {
	return map[string]setter{
		"enabled":         r.boolean(&g.Enabled),
		"per-client":      r.section(r.guardRate(&g.PerClient)),
		"per-tftp-client": r.section(r.guardRate(&g.PerTFTPClient)),
		"requests":        r.section(r.guardBudget(&g.Requests)),
		"broadcasts":      r.section(r.guardBudget(&g.Broadcasts)),
		"tftp":            r.section(r.guardBudget(&g.TFTP)),
		"memory":          r.guardMemory(&g.Memory),
		"clients":         r.number(&g.Clients, minGuardSource, maxGuardSource),
	}
}

func (r *reader) guardRate(v *GuardRate) map[string]setter {
	return map[string]setter{
		"rate":  r.number(&v.Rate, 0, maxGuardRate),
		"burst": r.number(&v.Burst, 1, maxGuardRate),
	}
}

func (r *reader) guardBudget(v *GuardBudget) map[string]setter {
	keys := r.guardRate(&v.GuardRate)
	keys["known"] = r.number(&v.Known, 0, maxGuardKnown)
	return keys
}

// guardMemory reads the size of a table that is addressed by bits of a hash.
func (r *reader) guardMemory(dst *int64) setter {
	size := r.bytes(dst)
	return func(n ast.Node, path string) {
		was, mistakes := *dst, len(r.errs)
		size(n, path)
		if len(r.errs) > mistakes {
			return
		}
		if v := *dst; v < minGuardMemory || v > maxGuardMemory || bits.OnesCount64(uint64(v)) != 1 {
			*dst = was
			r.fail(r.places.find(path), "64KiB, 128KiB, … 8MiB, … 1GiB", "%s: must be a power of two from 64KiB to 1GiB", path)
		}
	}
}

// checkGuard finds bounds that contradict each other.
func (r *reader) checkGuard(g *Guard) {
	for _, b := range []struct {
		key    string
		budget GuardBudget
	}{{"requests", g.Requests}, {"broadcasts", g.Broadcasts}, {"tftp", g.TFTP}} {
		path := "guard." + b.key
		least := b.budget.Burst * min(b.budget.Known, 100-b.budget.Known)
		if b.budget.Rate > 0 && b.budget.Known > 0 && least < 100 {
			r.fail(r.places.find(path+".burst"), "a larger burst, or known: 0", "%s: a burst of %d cannot be split into %d %% and the rest", path, b.budget.Burst, b.budget.Known)
		}
	}
}
