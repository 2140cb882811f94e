package config

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// pe makes the start of an EFI program for a processor.
func pe(machine uint16) []byte {
	b := make([]byte, 0x100)
	copy(b, "MZ")
	b[0x3c] = 0x80
	copy(b[0x80:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[0x84:], machine)
	return b
}

func TestDiscover(t *testing.T) {
	const x64Note = "also for ebc, which much x64 firmware sends"
	const noScript = "there is no boot.ipxe; iPXE runs the script that is built into it, if any"
	for _, tc := range []struct {
		name  string
		files string // names; @ and a PE machine in hexadecimal may follow
		want  []Found
	}{
		{"iPXE", "undionly.kpxe snponly.efi boot.ipxe", []Found{{"bios", "undionly.kpxe", ""}, {"x64-uefi", "snponly.efi", x64Note}, {"ipxe", "boot.ipxe", ""}}},
		{"Debian's iPXE without a script", "ipxe.efi ipxe.iso ipxe.lkrn ipxe.pxe snponly.efi undionly.kkpxe undionly.kpxe",
			[]Found{{"bios", "undionly.kpxe", ""}, {"x64-uefi", "snponly.efi", x64Note}, {"ipxe", "", noScript}}},
		{"Windows, as on its media", "Boot/x64/wdsnbp.com Boot/x64/BOOTMGFW.EFI Boot/BCD", []Found{{"bios", "Boot/x64/wdsnbp.com", ""}, {"x64-uefi", "Boot/x64/BOOTMGFW.EFI", x64Note}}},
		{"Windows, no WDS server asked", "boot/x64/wdsnbp.com boot/x64/pxeboot.n12", []Found{{"bios", "boot/x64/pxeboot.n12", ""}}},
		{"a boot medium", "EFI/BOOT/BOOTX64.EFI EFI/BOOT/grubx64.efi EFI/BOOT/BOOTAA64.EFI efi/readme", []Found{{"x64-uefi", "EFI/BOOT/BOOTX64.EFI", x64Note}, {"arm64-uefi", "EFI/BOOT/BOOTAA64.EFI", ""}}},
		{"shim before GRUB", "grubx64.efi shimx64.efi pxelinux.0", []Found{{"bios", "pxelinux.0", ""}, {"x64-uefi", "shimx64.efi", x64Note}}},
		{"iPXE before shim, wherever", "shimx64.efi boot/ipxe.efi", []Found{{"x64-uefi", "boot/ipxe.efi", x64Note}, {"ipxe", "", noScript}}},
		{"the root before a folder", "boot/undionly.kpxe undionly.kpxe", []Found{{"bios", "undionly.kpxe", ""}, {"ipxe", "", noScript}}},
		{"folders by architecture", "x86_64-efi/ipxe.efi arm64-efi/ipxe.efi riscv64/snponly.efi loong64-efi/ipxe.efi i386-efi/ipxe.efi arm32/ipxe.efi ipxe/menu.ipxe", []Found{
			{"ia32-uefi", "i386-efi/ipxe.efi", ""}, {"x64-uefi", "x86_64-efi/ipxe.efi", x64Note}, {"arm32-uefi", "arm32/ipxe.efi", ""}, {"arm64-uefi", "arm64-efi/ipxe.efi", ""},
			{"riscv64-uefi", "riscv64/snponly.efi", ""}, {"loongarch64-uefi", "loong64-efi/ipxe.efi", ""}, {"ipxe", "ipxe/menu.ipxe", ""}}},
		{"names by architecture", "ipxe-arm64.efi ipxe-x86_64.efi boot.ipxe", []Found{{"x64-uefi", "ipxe-x86_64.efi", x64Note}, {"arm64-uefi", "ipxe-arm64.efi", ""}, {"ipxe", "boot.ipxe", ""}}},
		{"another processor's program", "ipxe.efi@aa64 bootx64.efi@8664 bootaa64.efi@8664", []Found{{"x64-uefi", "bootx64.efi", x64Note}}},
		{"this processor's program", "snponly.efi@8664 autoexec.ipxe", []Found{{"x64-uefi", "snponly.efi", x64Note}, {"ipxe", "autoexec.ipxe", ""}}},
		{"the lower-case spelling", "BootX64.efi bootx64.efi", []Found{{"x64-uefi", "bootx64.efi", x64Note}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := fstest.MapFS{"ignored.txt": {}, "bootia32.efi/a-folder": {}}
			for _, name := range strings.Fields(tc.files) {
				name, machine, _ := strings.Cut(name, "@")
				file := &fstest.MapFile{Data: []byte("boot program")}
				switch machine {
				case "aa64":
					file.Data = pe(0xaa64)
				case "8664":
					file.Data = pe(0x8664)
				}
				root[name] = file
			}
			c, found, err := Discover(root)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(found, tc.want) {
				t.Errorf("got\n%v\nwant\n%v", found, tc.want)
			}
			served := make(map[string]string)
			for _, f := range found {
				if f.File != "" {
					served[f.Client] = f.File
				}
			}
			for _, f := range c.Policy.Files() {
				if served[f.Key] != f.File {
					t.Errorf("%s gets %s, but %q is listed", f.Key, f.File, served[f.Key])
				}
				delete(served, f.Key)
			}
			if len(served) > 0 {
				t.Errorf("listed, but not in the policy: %v", served)
			}
			if err := c.Apply(Flags{Interfaces: []string{"eth0"}, Root: "/srv"}); err != nil || c.Complete() != nil {
				t.Errorf("%v, %v", err, c.Complete())
			}
			if err := c.Check(func(name string) error { _, err := fs.Stat(root, name); return err }); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDiscoverServes(t *testing.T) {
	c, _, err := Discover(fstest.MapFS{"snponly.efi": {}, "boot.ipxe": {}})
	if err != nil {
		t.Fatal(err)
	}
	m := policy.Machine{NumArches: 1, Arches: [policy.MaxArches]policy.Arch{policy.ArchX64UEFI}}
	if d := c.Policy.Decide(&m); d.File != "snponly.efi" {
		t.Errorf("x64: %+v", d)
	}
	m.IPXE = true
	if d := c.Policy.Decide(&m); d.File != "boot.ipxe" {
		t.Errorf("iPXE: %+v", d)
	}
}

func TestDiscoverNothing(t *testing.T) {
	_, _, err := Discover(fstest.MapFS{"vmlinuz": {}, "boot.ipxe": {}, "ipxe.efi": {Data: pe(0xaa64)}})
	for _, want := range []string{"undionly.kpxe", "bootx64.efi", "bootaa64.efi", "arm64-uefi", "EFI/BOOT"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %s", err, want)
		}
	}
	if _, _, err := Discover(noFS{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("an unreadable root: %v", err)
	}
}

type noFS struct{}

func (noFS) Open(string) (fs.File, error) { return nil, fs.ErrPermission }

func TestFoundString(t *testing.T) {
	for want, f := range map[string]Found{
		"bios              undionly.kpxe":          {"bios", "undionly.kpxe", ""},
		"ipxe              no answer (not there)":  {"ipxe", "", "not there"},
		"x64-uefi          snponly.efi (also ebc)": {"x64-uefi", "snponly.efi", "also ebc"},
	} {
		if got := f.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestUsualNames: each name is looked for by one kind of client only, or the
// listing would depend on the order of the table.
func TestUsualNames(t *testing.T) {
	owner := make(map[string]string)
	for _, u := range usualPrograms {
		if _, err := policy.ParseArch(u.client); err != nil {
			t.Error(err)
		}
		for _, name := range u.names {
			if other, taken := owner[name]; taken {
				t.Errorf("%s is of %s and of %s", name, other, u.client)
			}
			owner[name] = u.client
			if name != strings.ToLower(name) {
				t.Errorf("%s is not in lower case: it would never be found", name)
			}
		}
	}
}
