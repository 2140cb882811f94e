package tftp

import (
	"bytes"
	"encoding/binary"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// windowsFetch is one request of a Windows boot program.
type windowsFetch struct {
	name    string
	options []string
	probe   byte   // the code of the ERROR that ends it after the OACK, plus one
	file    string // what is served; empty: there is no such file
}

// bootmgr asks with what RamDiskTFTPBlockSize and RamDiskTFTPWindowSize say, and
// for a window of variable size by Microsoft's own option.
var bootmgr = []string{"tsize", "0", "blksize", "1456", "windowsize", "4", "msftwindow", "31416"}

func TestWindowsBoot(t *testing.T) {
	files := map[string][]byte{
		"boot/x64/wdsnbp.com": randomFile(31_124, 1), "boot/x64/pxeboot.n12": randomFile(25_772, 2),
		"boot/x64/bootmgr.exe": randomFile(595_000, 3), "boot/x64/bootmgfw.efi": randomFile(1_400_000, 4),
		"Boot/BCD": randomFile(16_384, 5), "Boot/boot.sdi": randomFile(3_170_304, 6),
		"sources/boot.wim": randomFile(5<<20+11, 7), "EFI/Microsoft/Boot/boot.stl": randomFile(9_000, 8),
	}
	rom := []string{"tsize", "0", "blksize", "1456"}
	edk2 := []string{"tsize", "0", "blksize", "1468", "windowsize", "4"}
	for name, script := range map[string][]windowsFetch{
		"BIOS": {
			{`boot\x64\wdsnbp.com`, rom, 1, "boot/x64/wdsnbp.com"},
			{`boot\x64\wdsnbp.com`, rom[2:], 0, "boot/x64/wdsnbp.com"},
			{`Boot\x64\pxeboot.n12`, rom, 0, "boot/x64/pxeboot.n12"},
			{`\Boot\x64\bootmgr.exe`, rom, 1, "boot/x64/bootmgr.exe"},
			{`\Boot\x64\bootmgr.exe`, rom, 0, "boot/x64/bootmgr.exe"},
			{`\boot\fonts\wgl4_boot.ttf`, bootmgr, 0, ""},
			{`\hiberfil.sys`, bootmgr, 0, ""},
			{`\Boot\BCD`, bootmgr, 1, "Boot/BCD"},
			{`\Boot\BCD`, bootmgr, 0, "Boot/BCD"},
			{`\boot\BOOT.SDI`, bootmgr, 0, "Boot/boot.sdi"},
			{`\Sources\Boot.WIM`, bootmgr, 0, "sources/boot.wim"},
		},
		"UEFI": {
			{`boot\x64\bootmgfw.efi`, edk2, 9, "boot/x64/bootmgfw.efi"},
			{`boot\x64\bootmgfw.efi`, edk2[2:], 0, "boot/x64/bootmgfw.efi"},
			{`/\Boot\BCD`, bootmgr, 9, "Boot/BCD"},
			{`/\Boot\BCD`, bootmgr, 0, "Boot/BCD"},
			{`\EFI\Microsoft\boot\BOOT.STL`, bootmgr, 0, "EFI/Microsoft/Boot/boot.stl"},
			{`\EFI\Microsoft\Boot\Fonts\segmono_boot.ttf`, bootmgr, 0, ""},
			{`\boot\boot.sdi`, bootmgr, 0, "Boot/boot.sdi"},
			{`\sources\boot.wim`, bootmgr, 0, "sources/boot.wim"},
		},
	} {
		statement(t, "G12 H12 I1", "Windows, "+name, func(t *testing.T) {
			core, logs := observer.New(zap.InfoLevel)
			b := serve(t, Config{GSO: true, Logger: zap.New(core)}, files)
			var want Stats
			for i := range script {
				f := &script[i]
				want.Outcomes[b.fetch(t, f, files[f.file])]++
			}
			b.sync()
			want.Outcomes[NotFound]++ // sync's own
			if got := b.Stats(); got.Outcomes != want.Outcomes || got.Active != 0 {
				t.Errorf("%+v, want %+v", got, want)
			}
			b.stop()
			for _, l := range logs.All() {
				if how := l.ContextMap()["outcome"]; l.Level > zapcore.InfoLevel || how != "complete" && how != "not_found" {
					t.Errorf("logged at %v: %v %v", l.Level, l.Message, l.ContextMap())
				}
			}
		})
	}
}

// fetch does what a boot program does with one file. It returns how that ends.
func (b *bed) fetch(t *testing.T, f *windowsFetch, file []byte) Outcome {
	t.Helper()
	w := newWire(t, "127.0.0.1:0")
	defer w.close()
	w.send(b.addr, rrq(append([]string{f.name, "octet"}, f.options...)...))
	if f.file == "" {
		w.expectError(codeNotFound)
		return NotFound
	}
	var granted []string
	blksize, window := 512, 1
	for i := 0; i < len(f.options); i += 2 {
		name, value := f.options[i], f.options[i+1]
		switch name {
		case "tsize":
			value = itoa(len(file))
		case "blksize":
			blksize = atoi(t, value)
		case "windowsize":
			window = atoi(t, value)
		case "msftwindow":
			continue // its grant would promise windows of variable size
		}
		granted = append(granted, name, value)
	}
	tid := w.expect(oackPacket(granted...))
	if f.probe != 0 {
		w.send(tid, appendError(nil, uint16(f.probe-1), "aborted"))
		return Probe
	}
	// The fifth byte is the window that msftwindow would have set.
	ack := func(n int) { w.send(tid, append(ackPacket(n), byte(window))) }
	ack(0)
	var got []byte
	for n := 1; ; n++ {
		p, _ := w.recv()
		if p[1] != opDATA || binary.BigEndian.Uint16(p[2:]) != uint16(n) {
			t.Fatalf("%s: got %.20q, want block %d", f.name, p, n)
		}
		got = append(got, p[headerLen:]...)
		last := len(p) < headerLen+blksize
		if last || n%window == 0 {
			ack(n)
		}
		if last {
			break
		}
	}
	if !bytes.Equal(got, file) {
		t.Errorf("%s: %d bytes, which are not those of %s", f.name, len(got), f.file)
	}
	return Complete
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	n, ok := number([]byte(s))
	if !ok {
		t.Fatalf("%q is no number", s)
	}
	return n
}
