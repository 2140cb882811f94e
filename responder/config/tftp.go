package config

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// networks reads the list of networks with bounds of their own.
func (r *reader) networks(dst *[]TFTPNetwork) setter {
	return func(n ast.Node, path string) {
		first := map[netip.Prefix]string{}
		r.items(n, path, func(n ast.Node, path string) {
			var net TFTPNetwork
			var subnets []netip.Prefix
			mistakes := len(r.errs)
			r.keys(n, path, map[string]setter{
				"subnet":      r.prefixes(&subnets, false),
				"max-blksize": r.number(&net.MaxBlksize, MinBlksize, MaxBlksize),
				"max-window":  r.number(&net.MaxWindow, 1, maxWindow),
			})
			if len(r.errs) > mistakes {
				return
			}
			at := r.places.find(path)
			switch {
			case len(subnets) != 1:
				r.fail(at, "subnet: 198.51.100.0/24", "%s: must name one subnet, not %d", path, len(subnets))
				return
			case net.MaxBlksize == 0 && net.MaxWindow == 0:
				r.fail(at, "max-blksize, max-window or both", "%s: bounds nothing", path)
				return
			}
			net.Subnet = subnets[0].Masked()
			if other, twice := first[net.Subnet]; twice {
				r.fail(r.places.find(path+".subnet"), "", "%s: %v is that of %s", path, net.Subnet, other)
				return
			}
			first[net.Subnet] = path
			*dst = append(*dst, net)
		})
	}
}

// uploads reads the section that lets clients write. Without it they may not.
func (r *reader) uploads(dst **Uploads) setter {
	return func(n ast.Node, path string) {
		if isEmpty(r.resolve(n)) {
			return
		}
		u := &Uploads{MaxSize: DefaultUploadSize, MaxFiles: DefaultUploadFiles, MaxTotal: DefaultUploadTotal}
		mistakes := len(r.errs)
		r.keys(n, path, map[string]setter{
			"dir":       r.directory(&u.Dir),
			"max-size":  r.bytes(&u.MaxSize),
			"max-files": r.number(&u.MaxFiles, 1, maxUploadFiles),
			"max-total": r.bytes(&u.MaxTotal),
			"overwrite": r.boolean(&u.Overwrite),
		})
		if u.Dir == "" && len(r.errs) == mistakes {
			r.fail(r.places.find(path), "dir: DIRECTORY", "%s: no directory for the files", path)
		}
		*dst = u
	}
}

// bytes reads a size: a number of bytes, or one with a unit.
func (r *reader) bytes(dst *int64) setter {
	return r.value(func(s string) (string, string) {
		const hint = "as in 1000000, 500MB or 2GiB"
		digits, factor := s, int64(1)
		for i, unit := range []string{"KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"} {
			if before, ok := strings.CutSuffix(s, unit); ok {
				digits = strings.TrimSpace(before)
				for range i%4 + 1 {
					factor *= []int64{1000, 1024}[i/4]
				}
			}
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		switch {
		case err != nil:
			return "bad size " + strconv.Quote(s), hint
		case n < 1 || n > maxUploadBytes/factor:
			return s + " is out of bounds", "1 byte to 1024TiB"
		}
		*dst = n * factor
		return "", ""
	})
}
