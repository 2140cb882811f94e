package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Firmware is what a Machine boots with.
type Firmware uint8

const (
	UEFI Firmware = iota // OVMF: edk2's own PXE client over its virtio-net driver
	BIOS                 // SeaBIOS and iPXE's ROM for QEMU's e1000
)

func (f Firmware) String() string {
	if f == BIOS {
		return "SeaBIOS+iPXE ROM"
	}
	return "OVMF UEFI"
}

// Short is a name that fits a file or a column.
func (f Firmware) Short() string {
	if f == BIOS {
		return "seabios"
	}
	return "ovmf"
}

// What a console shows. The banner is iPXE's own, at its start; the ROM of a
// BIOS machine is iPXE too, so there it counts only behind ROMMark.
const (
	BannerMark  = "Open Source Network Boot Firmware"
	OVMFFetched = "NBP file downloaded successfully"
	OVMFNext    = ">>Start HTTP Boot" // what OVMF boots from after PXE
	DiskMark    = "XDPXE-DISK-OK"     // printed by the disk of MachineOptions.Disk
)

// MachineOptions says what to boot.
type MachineOptions struct {
	Name     string
	Firmware Firmware
	MAC      net.HardwareAddr // default: made from the name
	Disk     bool             // after the network, boot a disk that prints DiskMark (BIOS)
	Lines    Lines
}

// Machine is a virtual computer under QEMU's TCG, switched on and booting from
// the network. Log is its serial console.
type Machine struct {
	*Process
	Firmware Firmware
	MAC      net.HardwareAddr
	Port     string    // its interface in the switch's namespace
	PowerOn  time.Time // when QEMU was started
}

// Boot switches a machine on, on the clients' network.
func (r *Rack) Boot(o MachineOptions) (*Machine, error) {
	if o.MAC == nil {
		o.MAC = macFor(o.Name)
	}
	tap, err := r.Access.Tap()
	if err != nil {
		return nil, err
	}
	args := []string{"qemu-system-x86_64", "-nodefaults", "-display", "none", "-monitor", "none", "-no-reboot",
		"-machine", "q35,graphics=off", "-accel", "tcg,thread=multi", "-m", "256",
		"-serial", "stdio",
		"-netdev", "tap,id=net0,script=no,downscript=no,ifname=" + tap}
	more, err := r.firmwareArgs(o)
	if err != nil {
		return nil, err
	}
	m := &Machine{Firmware: o.Firmware, MAC: o.MAC, Port: tap, PowerOn: time.Now()}
	m.Process, err = r.Access.Start(Command{Name: o.Name, Args: append(args, more...), Lines: o.Lines})
	return m, err
}

func (r *Rack) firmwareArgs(o MachineOptions) ([]string, error) {
	if o.Firmware == BIOS {
		args := []string{"-device", "e1000,netdev=net0,bootindex=1,romfile=" + biosROM + ",mac=" + o.MAC.String()}
		if o.Disk {
			disk, err := r.makeDisk(o.Name)
			if err != nil {
				return nil, err
			}
			args = append(args, "-drive", "if=none,id=disk0,format=raw,file="+disk, "-device", "ide-hd,drive=disk0,bootindex=2")
		}
		return args, nil
	}
	code, vars, err := findOVMF()
	if err != nil {
		return nil, err
	}
	own := r.Path(o.Name + ".vars.fd")
	blank, err := os.ReadFile(vars)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := os.WriteFile(own, blank, 0o600); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return []string{
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + code,
		"-drive", "if=pflash,format=raw,unit=1,file=" + own,
		// No option ROM: the card's driver and the PXE client are then OVMF's own.
		"-device", "virtio-net-pci,netdev=net0,bootindex=1,romfile=,mac=" + o.MAC.String(),
		"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n",
	}, nil
}

const biosROM = "/usr/lib/ipxe/qemu/pxe-e1000.rom"

// ovmfDir has pairs of code and variable store; newer releases only the 4M ones.
const ovmfDir = "/usr/share/OVMF"

func findOVMF() (code, vars string, err error) {
	for _, suffix := range []string{"_4M.fd", ".fd"} {
		code = filepath.Join(ovmfDir, "OVMF_CODE"+suffix)
		vars = filepath.Join(ovmfDir, "OVMF_VARS"+suffix)
		if _, err := os.Stat(code); err == nil {
			return code, vars, nil
		}
	}
	return "", "", fmt.Errorf("lab: no OVMF_CODE*.fd in %s", ovmfDir)
}

// WaitProgram waits until the boot program that a server named runs: the
// iPXE that was downloaded, not the one in a card's ROM.
func (m *Machine) WaitProgram(ctx context.Context) (time.Time, error) {
	mark := ""
	if m.Firmware == BIOS {
		mark = ROMMark
	}
	return m.Log.WaitAfter(ctx, mark, BannerMark)
}

// WaitScript waits until the downloaded program runs the script that the server named to it.
func (m *Machine) WaitScript(ctx context.Context) (time.Time, error) {
	return m.Log.Wait(ctx, ScriptMark)
}

// Off switches the machine off.
func (m *Machine) Off() error { return m.Kill() }

// macFor makes a locally administered address that is the same in every run.
func macFor(name string) net.HardwareAddr {
	h := uint32(2166136261) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return net.HardwareAddr{0x52, 0x54, 0x00, byte(h >> 16), byte(h >> 8), byte(h)}
}

// makeDisk writes a disk whose boot sector says DiskMark on the BIOS console and stops.
func (r *Rack) makeDisk(name string) (string, error) {
	sector := make([]byte, 512)
	code := []byte{
		0xfc,                   // cld
		0x31, 0xc0, 0x8e, 0xd8, // ds = 0
		0xbe, 0x20, 0x7c, // si = text, at 0x7c20
		0xac,       // next: lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x09, // jz stop
		0xb4, 0x0e, // teletype output
		0xbb, 0x07, 0x00, // page 0
		0xcd, 0x10, // int 0x10
		0xeb, 0xf2, // jmp next
		0xf4,       // stop: hlt
		0xeb, 0xfd, // jmp stop
	}
	const text = 0x20
	if len(code) > text {
		return "", errors.New("lab: boot sector code of " + strconv.Itoa(len(code)) + " bytes runs into its text")
	}
	copy(sector, code)
	copy(sector[text:], DiskMark+"\r\n")
	sector[510], sector[511] = 0x55, 0xaa
	path := r.Path(name + ".disk")
	return path, os.WriteFile(path, append(sector, make([]byte, 1<<20)...), 0o600)
}
