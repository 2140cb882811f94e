package netdev

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// Holder is a socket bound to a UDP port and, where /proc lets us look, the
// process that has it.
type Holder struct {
	Addr  netip.AddrPort
	Inode uint64
	UID   int
	PID   int    // 0: not known (another user's process, or one of another pid namespace)
	Name  string // the process's command name; empty where PID is 0
}

// String names the process as well as it is known.
func (h Holder) String() string {
	if h.PID != 0 {
		return fmt.Sprintf("%s (pid %d)", h.Name, h.PID)
	}
	who := strconv.Itoa(h.UID)
	if u, err := user.LookupId(who); err == nil {
		who = u.Username
	}
	return fmt.Sprintf("a process of user %s (socket inode %d)", who, h.Inode)
}

// UDPHolders returns who holds an IPv4 (or dual-stack) socket on port, other
// than this process, in the namespace of the calling thread.
func UDPHolders(port uint16) ([]Holder, error) {
	var all []Holder
	for _, table := range []string{"udp", "udp6"} {
		f, err := os.Open("/proc/thread-self/net/" + table)
		if errors.Is(err, os.ErrNotExist) && table == "udp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("holders of UDP port %d: %w", port, err)
		}
		found, err := parseUDP(f, port)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("holders of UDP port %d: read /proc/net/%s: %w", port, table, err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	own := socketInodes("/proc/self/fd")
	var others []Holder
	for _, h := range all {
		// An IPv6 address takes no DHCP; the wildcard of a dual-stack socket does.
		v6only := h.Addr.Addr().Is6() && !h.Addr.Addr().IsUnspecified() && !h.Addr.Addr().Is4In6()
		if !own[h.Inode] && !v6only {
			others = append(others, h)
		}
	}
	nameHolders(others)
	return others, nil
}

// parseUDP reads a table in the format of /proc/net/udp: addresses are in host
// byte order by 32-bit word, the port is not.
func parseUDP(r io.Reader, port uint16) ([]Holder, error) {
	var out []Holder
	s := bufio.NewScanner(r)
	for s.Scan() {
		// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …
		f := strings.Fields(s.Text())
		if len(f) < 10 || f[0] == "sl" {
			continue
		}
		addr, err := parseAddr(f[1])
		if err != nil {
			return nil, err
		}
		if addr.Port() != port {
			continue
		}
		uid, err := strconv.Atoi(f[7])
		if err != nil {
			return nil, fmt.Errorf("uid %q: %w", f[7], err)
		}
		inode, err := strconv.ParseUint(f[9], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("inode %q: %w", f[9], err)
		}
		out = append(out, Holder{Addr: addr, Inode: inode, UID: uid})
	}
	return out, s.Err()
}

func parseAddr(s string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("address %q is not in the format of /proc/net/udp", s)
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	p, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q is not in the format of /proc/net/udp", s)
	}
	return netip.AddrPortFrom(ip, uint16(p)), nil
}

// nameHolders looks for the holders' sockets among the descriptors of all
// processes that may be looked at.
func nameHolders(holders []Holder) {
	if len(holders) == 0 {
		return
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range dirs {
		inodes := socketInodes(dir)
		for i := range holders {
			if holders[i].PID != 0 || !inodes[holders[i].Inode] {
				continue
			}
			proc := filepath.Dir(dir)
			pid, err := strconv.Atoi(filepath.Base(proc))
			comm, errComm := os.ReadFile(proc + "/comm")
			if err == nil && errComm == nil {
				holders[i].PID, holders[i].Name = pid, strings.TrimSpace(string(comm))
			}
		}
	}
}

func socketInodes(dir string) map[uint64]bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	inodes := map[uint64]bool{}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || !strings.HasPrefix(target, "socket:[") {
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimSuffix(target[len("socket:["):], "]"), 10, 64); err == nil {
			inodes[n] = true
		}
	}
	return inodes
}
