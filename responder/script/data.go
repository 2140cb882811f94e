package script

import (
	"errors"
	"net/netip"
	"strings"
	"time"
)

// Data is what a template sees. What came from the wire must have no control
// characters, as a line break would begin another command.
type Data struct {
	Machine    Machine
	Deployment *Deployment // nil: it boots by a rule alone
	Vars       map[string]string
	Server     Server
}

// Machine is who boots. Texts are empty where nothing is known.
type Machine struct {
	MAC       string // 52:54:00:12:34:56
	UUID      string
	Name      string // as the operator calls it
	Arch      string // x64-uefi
	Address   netip.Addr
	CircuitID string
}

// Dashes is the hardware address as PXELINUX and GRUB name files: 52-54-00-12-34-56.
func (m Machine) Dashes() string { return strings.ReplaceAll(m.MAC, ":", "-") }

// Hex is the hardware address without separators.
func (m Machine) Hex() string { return strings.ReplaceAll(m.MAC, ":", "") }

// Deployment is why it boots.
type Deployment struct {
	ID       string
	Profile  string
	Once     bool
	Note     string
	NotAfter time.Time
	Token    func() (string, error) // nil: there are no callbacks
}

// CallbackToken is what the installer shows when it calls back: it is good for
// this machine's run of this deployment alone.
func (d *Deployment) CallbackToken() (string, error) {
	if d.Token == nil {
		return "", errors.New("no callbacks: this server has no API that could take one")
	}
	return d.Token()
}

// Server is who serves it.
type Server struct {
	Name    string
	Address netip.Addr // that the machine reaches
}

// URL is where the boot files are, without a slash at the end.
func (s Server) URL() string { return "tftp://" + s.Address.String() }
