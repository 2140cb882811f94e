package config

// usual says how the boot program of one kind of client is usually called.
// Names are in order of preference: of two that are there the earlier wins,
// whatever directories they are in.
//
// iPXE comes first, since who has it wants it; of its builds snponly.efi, which
// keeps to the firmware's own network driver. shim precedes GRUB, which it
// loads, so that Secure Boot works. pxeboot.n12 and bootmgfw.efi load Windows'
// boot manager by TFTP alone, wdsnbp.com asks a WDS server first.
type usual struct {
	client  string   // name of the architecture, or ipxe
	names   []string // found in commonDirs and dirs
	generic []string // names that say nothing of the architecture; they come before names, and count in dirs only
	dirs    []string
	machine []uint16 // what the PE header of an .efi file may say (PE/COFF §3.3.1)
}

// commonDirs are looked into for every client, the root first.
var commonDirs = []string{".", "boot", "EFI/BOOT", "ipxe", "tftpboot"}

var usualScripts = usual{
	client: "ipxe",
	names:  []string{"boot.ipxe", "menu.ipxe", "default.ipxe", "netboot.ipxe", "autoexec.ipxe"},
}

var genericNames = []string{"snponly.efi", "ipxe.efi"}

var usualPrograms = []usual{
	{
		client: "bios",
		names: []string{"undionly.kpxe", "ipxe.pxe", "netboot.xyz.kpxe", "pxelinux.0", "lpxelinux.0", "grldr",
			"pxeboot.n12", "wdsnbp.com", "core.0"},
		dirs: []string{"boot/x64", "boot/x86", "bios", "i386-pc", "boot/grub/i386-pc", "grub/i386-pc"},
	},
	{
		client: "ia32-uefi",
		names: []string{"snponly-ia32.efi", "ipxe-ia32.efi", "snponly-i386.efi", "ipxe-i386.efi", "snponly32.efi", "ipxe32.efi",
			"shimia32.efi", "bootia32.efi", "grubia32.efi", "grubnetia32.efi"},
		generic: genericNames,
		dirs:    []string{"ia32", "i386-efi", "bin-i386-efi", "efi32"},
		machine: []uint16{0x014c},
	},
	{
		client: "x64-uefi",
		names: []string{"snponly-x86_64.efi", "ipxe-x86_64.efi", "snponly-x64.efi", "ipxe-x64.efi", "netboot.xyz-snp.efi", "netboot.xyz.efi",
			"shimx64.efi", "shimx64.efi.signed", "bootx64.efi", "grubx64.efi", "grubnetx64.efi", "grubnetx64.efi.signed", "bootmgfw.efi"},
		generic: genericNames,
		// Who names no architecture means this one.
		dirs:    append([]string{"boot/x64", "x64", "x86_64", "x86_64-efi", "bin-x86_64-efi", "efi64"}, commonDirs...),
		machine: []uint16{0x8664},
	},
	{
		client:  "arm32-uefi",
		names:   []string{"snponly-arm32.efi", "ipxe-arm32.efi", "shimarm.efi", "bootarm.efi", "grubarm.efi"},
		generic: genericNames,
		dirs:    []string{"arm32", "arm32-efi", "bin-arm32-efi"},
		machine: []uint16{0x01c0, 0x01c2, 0x01c4},
	},
	{
		client: "arm64-uefi",
		names: []string{"snponly-arm64.efi", "ipxe-arm64.efi", "netboot.xyz-arm64-snp.efi", "netboot.xyz-arm64.efi",
			"shimaa64.efi", "shimaa64.efi.signed", "bootaa64.efi", "grubaa64.efi", "grubnetaa64.efi", "grubnetaa64.efi.signed"},
		generic: append([]string{"bootmgfw.efi"}, genericNames...),
		dirs:    []string{"boot/arm64", "arm64", "aarch64", "arm64-efi", "bin-arm64-efi"},
		machine: []uint16{0xaa64},
	},
	{
		client:  "riscv64-uefi",
		names:   []string{"snponly-riscv64.efi", "ipxe-riscv64.efi", "shimriscv64.efi", "bootriscv64.efi", "grubriscv64.efi"},
		generic: genericNames,
		dirs:    []string{"riscv64", "riscv64-efi", "bin-riscv64-efi"},
		machine: []uint16{0x5064},
	},
	{
		client: "loongarch64-uefi",
		names: []string{"snponly-loong64.efi", "ipxe-loong64.efi", "snponly-loongarch64.efi", "ipxe-loongarch64.efi",
			"shimloongarch64.efi", "bootloongarch64.efi", "grubloongarch64.efi"},
		generic: genericNames,
		dirs:    []string{"loongarch64", "loong64", "loong64-efi", "bin-loong64-efi"},
		machine: []uint16{0x6264},
	},
}
