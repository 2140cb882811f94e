package tftpc

import (
	"fmt"
	"slices"
	"time"
)

// Rules are the habits in which boot clients differ. The zero value is edk2's.
type Rules struct {
	Gap       Gap       // answer to a block beyond the expected one
	Duplicate Duplicate // answer to a block that is there already
	OACK      OACK      // what an OACK may hold

	// NeedOACK: DATA in answer to the RRQ is a failure (edk2's probe, GRUB).
	NeedOACK bool
	// NeedTsize: an OACK without tsize is a failure (edk2's probe, GRUB, PXELINUX).
	NeedTsize bool
	// ExactNames: options are known by their lower-case names only (edk2's tsize, GRUB).
	ExactNames bool
	// Progress: on a timeout the client acknowledges what it has (U-Boot), it
	// does not repeat its last packet (edk2).
	Progress bool
}

// Gap is the answer to a block beyond the expected one. An answer is always the
// acknowledgement of the last block in order, and the window counts from there.
type Gap uint8

// Answers to a gap.
const (
	GapEach   Gap = iota // to each packet: edk2 (Mtftp4RrqHandleData), iPXE
	GapOnce              // once at a place: U-Boot (tftp_last_nack)
	GapIgnore            // GRUB
)

// Duplicate is the answer to a block that is there already.
type Duplicate uint8

// Answers to a duplicate.
const (
	DuplicateAckLast Duplicate = iota // the last block in order, to each packet: edk2, iPXE
	DuplicateAckThat                  // the block that came: GRUB, PXELINUX
	DuplicateIgnore                   // U-Boot
)

// OACK is what an OACK may hold beyond what was asked for. What no client bears
// is always a failure: no NUL at the end, a granted value above the asked one or
// out of its range.
type OACK uint8

// Kinds of OACK checks.
const (
	OACKKnown   OACK = iota // no option of edk2's list that was not asked for; other names are ignored (Mtftp4RrqOackValid)
	OACKNothing             // no option at all that was not asked for: PXELINUX
	OACKAny                 // what was not asked for is ignored: iPXE, GRUB, U-Boot
)

var (
	gapNames       = []string{"each", "once", "ignore"}
	duplicateNames = []string{"ack-last", "ack-that", "ignore"}
	oackNames      = []string{"known", "nothing", "any"}
)

// UnmarshalText reads each, once or ignore.
func (g *Gap) UnmarshalText(b []byte) error { return setName(g, gapNames, "gap", b) }

// UnmarshalText reads ack-last, ack-that or ignore.
func (d *Duplicate) UnmarshalText(b []byte) error { return setName(d, duplicateNames, "duplicate", b) }

// UnmarshalText reads known, nothing or any.
func (o *OACK) UnmarshalText(b []byte) error { return setName(o, oackNames, "oack", b) }

func (g Gap) String() string       { return gapNames[g] }
func (d Duplicate) String() string { return duplicateNames[d] }
func (o OACK) String() string      { return oackNames[o] }

func setName[T ~uint8](v *T, names []string, what string, text []byte) error {
	i := slices.Index(names, string(text))
	if i < 0 {
		return fmt.Errorf("%s %q: want one of %v", what, text, names)
	}
	*v = T(i)
	return nil
}

// Retry says how a packet is repeated while nothing comes that was waited for.
type Retry struct {
	First   time.Duration // until the first repetition
	Factor  int           // each wait is so many times the one before; below 2: the same
	Max     time.Duration // the longest wait; 0: no bound
	Retries int           // repetitions before the client gives up
}

// EDK2Retry is what edk2 does: 4 s, six tries in all (PxeBcMtftp4ReadFile).
func EDK2Retry() Retry { return Retry{First: 4 * time.Second, Retries: 5} }

// next returns the wait after one of d.
func (r *Retry) next(d time.Duration) time.Duration {
	if r.Factor > 1 {
		d *= time.Duration(r.Factor)
	}
	if r.Max > 0 {
		d = min(d, r.Max)
	}
	return d
}
