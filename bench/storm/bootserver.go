package storm

import (
	"bytes"
	"net/netip"
	"net/url"
	"strings"
)

// ask begins with the next boot server of the plan.
func (m *Machine) ask(s *Step) {
	m.enter(s, asking)
	m.newXID()
	m.boot = bootFile{}
	m.sendBootRequest(s)
}

func (m *Machine) receiveBootServer(s *Step, d Datagram) {
	t := &m.Profile.BootServer
	if d.Dst.Port() != t.Port || !m.mine(d.Payload) || m.boot.name != "" {
		return
	}
	d.Payload = bytes.Clone(d.Payload)
	boot, err := choices[m.Profile.Choice].answer(m, m.plan[0], d)
	if err != nil {
		m.refused = err
		return
	}
	m.boot, m.Asked = boot, s.Now
	if !t.Collect {
		m.bootFrom(s, boot)
	}
}

func (m *Machine) expireBootServer(s *Step) {
	switch {
	case m.boot.name != "":
		m.bootFrom(s, m.boot)
	case m.again(&m.Profile.BootServer):
		m.sendBootRequest(s)
	case len(m.plan) > 1:
		m.plan = m.plan[1:]
		m.ask(s)
	case m.refused != nil:
		m.fail(s, "answer on 4011 refused: "+m.refused.Error())
	default:
		m.fail(s, "no answer on 4011")
	}
}

// bootFrom goes to the download of the NBP. What has to be fetched by HTTP is
// as far as a storm goes.
func (m *Machine) bootFrom(s *Step, boot bootFile) {
	if strings.Contains(boot.name, "://") {
		u, err := url.Parse(boot.name)
		if err != nil {
			m.fail(s, "boot file is a bad URL")
			return
		}
		if u.Scheme != "tftp" {
			m.URL, m.NBP, m.Image = boot.name, s.Now, s.Now
			m.end(s)
			return
		}
		server, err := netip.ParseAddr(u.Hostname())
		if err != nil {
			m.fail(s, "boot file is a URL with a host's name")
			return
		}
		boot = bootFile{server, strings.TrimPrefix(u.Path, "/")}
	}
	if !boot.server.Is4() || boot.server.IsUnspecified() {
		m.fail(s, "no address of a boot server")
		return
	}
	m.startDownload(s, boot)
}
