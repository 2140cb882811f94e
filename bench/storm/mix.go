package storm

import (
	"fmt"
	"strconv"
	"strings"
)

// Share is a profile and its weight among the machines.
type Share struct {
	Profile *Profile
	Weight  int
}

// ParseMix reads "edk2=50,ipxe=20,bios": names with weights, 1 if not written.
func (p Profiles) ParseMix(text string) (mix []Share, err error) {
	seen := map[string]bool{}
	for one := range strings.SplitSeq(text, ",") {
		name, weight, written := strings.Cut(strings.TrimSpace(one), "=")
		share := Share{Profile: p[name], Weight: 1}
		if share.Profile == nil {
			return nil, fmt.Errorf("profiles %q: there is no profile %q (there are %s)", text, name, strings.Join(p.Names(), ", "))
		}
		if seen[name] {
			return nil, fmt.Errorf("profiles %q: %s is named twice", text, name)
		}
		seen[name] = true
		if written {
			if share.Weight, err = strconv.Atoi(weight); err != nil || share.Weight < 1 || share.Weight > 1e6 {
				return nil, fmt.Errorf("profiles %q: weight %q of %s: want 1 to 1000000", text, weight, name)
			}
		}
		mix = append(mix, share)
	}
	return mix, nil
}

// Deal gives n machines their profiles: of each as many as its weight says, to
// within one, and mixed as evenly as they can be (smooth weighted round robin).
func Deal(mix []Share, n int) []*Profile {
	total := 0
	for _, s := range mix {
		total += s.Weight
	}
	credit := make([]int, len(mix))
	dealt := make([]*Profile, n)
	for i := range dealt {
		most := 0
		for k, s := range mix {
			credit[k] += s.Weight
			if credit[k] > credit[most] {
				most = k
			}
		}
		credit[most] -= total
		dealt[i] = mix[most].Profile
	}
	return dealt
}

// SetFiles replaces the files that machines download after their NBP:
// "[PROFILE=]NAME,NAME?" with a question mark behind what is optional, or
// "none". Without a profile it is for all that download anything.
func (p Profiles) SetFiles(text string) error {
	of, list, one := strings.Cut(text, "=")
	if !one {
		of, list = "", text
	}
	if one && p[of] == nil {
		return fmt.Errorf("files %q: there is no profile %q (there are %s)", text, of, strings.Join(p.Names(), ", "))
	}
	files := []File{}
	for name := range strings.SplitSeq(list, ",") {
		f := File{}
		f.Name, f.Optional = strings.CutSuffix(strings.TrimSpace(name), "?")
		if msg := f.check(); msg != "" {
			return fmt.Errorf("files %q: %s", text, msg)
		}
		files = append(files, f)
	}
	if list == "none" {
		files = nil
	}
	for name, profile := range p {
		if one && name == of || !one && profile.TFTP.Tries > 0 {
			profile.Files = files
		}
	}
	return nil
}
