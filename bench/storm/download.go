package storm

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"github.com/xdpxe/xdpxe/bench/tftpc"
)

// download is where a machine is in its files: -1 is the NBP.
type download struct {
	server netip.Addr
	port   uint16 // the machine's, of the current transfer
	file   int
	name   int // which of the file's names
	nbp    File

	cfg    tftpc.Config
	client tftpc.Client
}

// tftpErrorNotFound is the code of a file that the server does not have (RFC 1350 §5).
const tftpErrorNotFound = 1

// Ports of transfers: those that IANA leaves to clients.
const firstPort, lastPort = 49152, 65535

// startDownload begins with the NBP.
func (m *Machine) startDownload(s *Step, boot bootFile) {
	m.enter(s, loading)
	m.offers, m.lease, m.plan = nil, nil, nil
	d := &m.download
	d.server, d.file, d.name = boot.server, -1, 0
	d.nbp = File{Name: boot.name}
	if m.Profile.NBP != nil {
		d.nbp = *m.Profile.NBP
	}
	if d.nbp.Name == "" {
		m.fail(s, "no boot file in the offer")
		return
	}
	d.port = firstPort + uint16(m.ID%(lastPort-firstPort))
	m.fetch(s)
}

// current is the file that is downloaded, and how.
func (m *Machine) current() (*File, *TFTP) {
	if m.download.file < 0 {
		return &m.download.nbp, &m.Profile.TFTP
	}
	return &m.Profile.Files[m.download.file], m.Profile.Program
}

// what names the current file in a reason: as the profile does, so that reasons
// can be counted.
func (m *Machine) what() string {
	if m.download.file < 0 {
		return "NBP"
	}
	return m.Profile.Files[m.download.file].Name
}

// transfer starts one transfer of the current file, from a new port as all firmware does.
func (m *Machine) transfer(s *Step, probe bool) {
	d := &m.download
	f, t := m.current()
	name := f.Name
	if d.name > 0 {
		name = f.Else[d.name-1]
	}
	if d.port == lastPort {
		d.port = firstPort - 1
	}
	d.port++
	d.cfg = tftpc.Config{
		Request: tftpc.Request{Name: m.expand(name), Tsize: t.Tsize, Blksize: t.Blksize, Window: t.Windowsize, Extra: t.Extra},
		Rules:   tftpc.Rules{Gap: t.Gap, Duplicate: t.Duplicate, OACK: t.OACK, NeedOACK: probe, NeedTsize: probe, ExactNames: probe},
		Retry:   tftpc.Retry{First: t.Wait, Retries: t.Tries - 1},
		Probe:   probe,
		Size:    -1,
	}
	if t.Backoff {
		d.cfg.Retry.Factor = 2
	}
	m.sendTFTP(s, d.client.Start(s.Now, &d.cfg))
	m.due = d.client.Deadline()
}

// expand puts the serial number into a name.
func (m *Machine) expand(name string) string {
	return strings.ReplaceAll(name, "{serial}", hex.EncodeToString(m.MAC[2:]))
}

func (m *Machine) sendTFTP(s *Step, p []byte) {
	if p == nil {
		return
	}
	d := &m.download
	to := d.client.TID()
	if to == 0 {
		to = portTFTP
	}
	s.send(netip.AddrPortFrom(m.Addr, d.port), netip.AddrPortFrom(d.server, to), func(b []byte) []byte { return append(b, p...) })
}

const portTFTP = 69

func (m *Machine) receiveTFTP(s *Step, in Datagram) {
	d := &m.download
	if in.Dst.Port() != d.port || in.Src.Addr() != d.server {
		return
	}
	before := d.client.Stats().Bytes
	m.sendTFTP(s, d.client.Take(s.Now, in.Src.Port(), in.Payload))
	m.Bytes += uint64(d.client.Stats().Bytes - before)
	m.proceed(s)
}

func (m *Machine) expireTFTP(s *Step) {
	m.sendTFTP(s, m.download.client.Expire(s.Now))
	m.proceed(s)
}

// proceed goes on to what comes after a transfer, once it has ended.
func (m *Machine) proceed(s *Step) {
	d := &m.download
	outcome := d.client.Outcome()
	if outcome == tftpc.Running {
		m.due = d.client.Deadline()
		return
	}
	m.Retries += d.client.Stats().Resent
	f, _ := m.current()
	switch {
	case outcome == tftpc.Done && d.cfg.Probe:
		m.transfer(s, false)
	case outcome == tftpc.Done:
		m.nextFile(s)
	case outcome == tftpc.Refused && d.client.Detail().Code == tftpErrorNotFound && d.name < len(f.Else):
		d.name++
		m.fetch(s)
	case outcome == tftpc.Refused && f.Optional:
		m.Missing++
		m.nextFile(s)
	case outcome == tftpc.Refused: // a server's texts may differ for each file
		m.fail(s, fmt.Sprintf("%s: TFTP ERROR %d", m.what(), d.client.Detail().Code))
	default:
		m.fail(s, m.what()+": "+d.client.Reason())
	}
}

// fetch starts with a name of the current file.
func (m *Machine) fetch(s *Step) {
	_, t := m.current()
	m.transfer(s, t.Probe)
}

// nextFile goes on after a file that is there, or not needed.
func (m *Machine) nextFile(s *Step) {
	d := &m.download
	if d.file < 0 {
		m.NBP = s.Now
	}
	d.file, d.name = d.file+1, 0
	if d.file == len(m.Profile.Files) {
		m.Image = s.Now
		m.end(s)
		return
	}
	m.fetch(s)
}
