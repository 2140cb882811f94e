package policy

import (
	"net/netip"
	"net/url"
	"path"
	"strings"
)

const (
	maxHeaderName = 127 // bytes of the DHCP header field `file` less its NUL (RFC 2131 §2)
	maxOptionName = 254 // bytes of option 67 less the NUL that edk2 needs
)

// iPXESchemes are the URL schemes that iPXE can fetch a script by.
var iPXESchemes = []string{"http", "https", "tftp", "ftp", "nfs"}

// IsURL reports whether a boot file is a URL: something else than TFTP from
// our root may have to serve it.
func IsURL(file string) bool {
	scheme, rest, ok := strings.Cut(file, "://")
	if !ok || scheme == "" || rest == "" {
		return false
	}
	for i := 0; i < len(scheme); i++ {
		c := scheme[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(scheme[i]))) {
			return false
		}
	}
	return true
}

// NamedHost returns the host of a URL if it is a name. The firmware of an HTTP
// client resolves names only when its own DHCP server offers DNS.
func NamedHost(file string) (host string, named bool) {
	u, err := url.Parse(file)
	if err != nil || u.Hostname() == "" {
		return "", false
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return "", false
	}
	return u.Hostname(), true
}

// bootFile checks the file of an architecture, ArchUnknown for iPXE's, and
// returns the form in which a client gets it.
func bootFile(arch Arch, name string) (string, *ValueError) {
	if name == "" {
		return "", invalid("a path below root or a URL; leave the line out to not serve it", "no boot file")
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return "", invalid("", "boot file %q: control character", name)
	}
	if !IsURL(name) {
		if arch.HTTP() {
			return "", invalid(`as in "http://192.0.2.1/bootx64.efi"`, "boot file %q: %s boots from a URL", name, arch)
		}
		return bootPath(name)
	}
	if len(name) > maxOptionName {
		return "", invalid("", "boot file %q: %d bytes, DHCP has room for %d", name, len(name), maxOptionName)
	}
	scheme, rest, _ := strings.Cut(name, "://")
	scheme = strings.ToLower(scheme)
	switch {
	case arch.HTTP():
		if scheme != "http" && scheme != "https" {
			return "", invalid("http or https", "boot file %q: %s boots by HTTP", name, arch)
		}
		if u, err := url.Parse(name); err != nil || u.Hostname() == "" {
			return "", invalid(`as in "http://192.0.2.1/bootx64.efi"`, "boot file %q: bad URL", name)
		}
	case arch != ArchUnknown && arch != ArchOPAL:
		return "", invalid("a path below root; URLs are for ipxe and the http architectures", "boot file %q: %s loads by TFTP", name, arch)
	default:
		// iPXE expands settings such as ${next-server} in any part of it.
		known := false
		for _, s := range iPXESchemes {
			known = known || s == scheme
		}
		if !known {
			return "", invalid(strings.Join(iPXESchemes, ", "), "boot file %q: unknown scheme %q", name, scheme)
		}
		if rest[0] == '/' && scheme != "nfs" && scheme != "tftp" {
			return "", invalid(`as in "http://192.0.2.1/boot.ipxe"`, "boot file %q: no host", name)
		}
	}
	return scheme + "://" + rest, nil
}

// bootPath checks a path below the root. Clients get it with forward slashes
// and relative: that is what every TFTP client repeats unchanged.
func bootPath(name string) (string, *ValueError) {
	slashed := strings.ReplaceAll(name, `\`, "/")
	clean := path.Clean("/" + slashed)[1:]
	switch {
	case clean == "" || strings.HasSuffix(slashed, "/"):
		return "", invalid("", "boot file %q: names a directory", name)
	case escapes(slashed):
		return "", invalid("a path below root", "boot file %q: leads out of root", name)
	case len(clean) > maxOptionName:
		return "", invalid("", "boot file %q: %d bytes, DHCP has room for %d", name, len(clean), maxOptionName)
	case len(clean) > maxHeaderName && strings.Contains(strings.ToLower(path.Base(clean)), "shim"):
		// shim's netboot.c looks for its second stage beside the name in the
		// header's `file` field and nowhere else; longer names go into option 67.
		return "", invalid("a shorter path", "boot file %q: %d bytes, shim reads its own name from a field of %d", name, len(clean), maxHeaderName)
	}
	return clean, nil
}

// escapes reports whether a relative path climbs above where it starts.
func escapes(name string) bool {
	depth := 0
	for _, part := range strings.Split(name, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
		if depth < 0 {
			return true
		}
	}
	return false
}
