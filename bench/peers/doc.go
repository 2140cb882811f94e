// Package peers starts servers that do what xdpxe does, and xdpxe itself, for
// comparisons: each by a recipe, which is data.
//
// A Recipe says how a server is started, how it is known to be ready, how its
// version is asked and where its program is. Those of dnsmasq, atftpd,
// tftpd-hpa, pin/tftp and xdpxe are built in (recipes/*.yaml); a user's file
// adds more in the same form (Parse). Find makes a Peer of a recipe: the same
// with its program found on this machine, and its version. Start runs a Peer in
// a network namespace of the lab.
//
// One recipe is no server: the bounce, which the load generator is itself.
//
// Recipes set up servers at their best for the load that is coming: quiet, with
// limits on clients raised, with the block sizes and windows that they can.
package peers

import "net/netip"

// Kind is what a server is asked to do.
type Kind string

// Kinds.
const (
	DHCP Kind = "dhcp" // answer as a ProxyDHCP server, on UDP 67 and 4011
	TFTP Kind = "tftp" // serve files
	// Bounce sends back what it gets, which is what a machine can do at most.
	Bounce Kind = "bounce"
)

// Programs are the programs of this project that take part.
type Programs struct {
	XDPXE string // the daemon
	Bench string // the load generator, which is also pin/tftp's server
}

// Vars is what a recipe's texts may speak of: {{.Interface}}, {{if eq .Kind "tftp"}}….
type Vars struct {
	Programs
	Kind      Kind       // what it is to do now
	Variant   string     // one of the recipe's variants
	Interface string     // its only interface
	Address   netip.Addr // of the interface
	Network   netip.Addr // the network's
	Netmask   netip.Addr
	Port      int    // of TFTP
	Root      string // the directory of the boot files
	File      string // the boot program, below Root
	Dir       string // for files of its own; gone afterwards
	BPFFS     string // a BPF file system of its own
}
