package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// parseLab is labYAML without a file.
func parseLab(tb testing.TB) *config.Config {
	tb.Helper()
	cfg, err := config.Parse("lab.yaml", []byte(labYAML))
	if err != nil {
		tb.Fatal(err)
	}
	return cfg
}

func TestEveryReasonHasWords(t *testing.T) {
	for r := packet.Reason(0); r < packet.NumReasons; r++ {
		if reasonTexts[r] == "" {
			t.Errorf("%v: explain has no words for it", r)
		}
	}
}

func TestClassify(t *testing.T) {
	mistake := config.Errors{{File: "f.yaml", Line: 1, Col: 2, Msg: "bad"}}
	for _, c := range []struct {
		err  error
		code int
		text string
	}{
		{nil, 0, ""},
		{fmt.Errorf("stop: %w", context.Canceled), 0, ""},
		{errors.New("no such device"), 2, "xdpxe: no such device\n"},
		{userError(errors.New("no"), "do this"), 1, "xdpxe: no\n  do this\n"},
		{fmt.Errorf("wrapped: %w", userError(errors.New("no"), "")), 1, "xdpxe: wrapped: no\n"},
		{machineError(fs.ErrPermission, "try sudo"), 2, "xdpxe: permission denied\n  try sudo\n"},
		{mistake, 1, "f.yaml:1:2: bad\n"},
		{&config.Error{Msg: "no file"}, 1, "xdpxe: no file\n"},
	} {
		err := classify(c.err)
		var b strings.Builder
		printError(&b, err)
		if fault.Code(err) != c.code || b.String() != c.text {
			t.Errorf("%v: exit %d and %q, want %d and %q", c.err, fault.Code(err), b.String(), c.code, c.text)
		}
	}
}

func TestLogger(t *testing.T) {
	var b strings.Builder
	log, level, err := newLogger(config.Log{Level: "info", Format: "json"}, &b)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("hidden")
	log.Info("seen", zap.String("k", "v"))
	level.SetLevel(zap.DebugLevel)
	log.Debug("now seen")
	if got := b.String(); strings.Contains(got, "hidden") || !strings.Contains(got, `"msg":"seen","k":"v"}`) || !strings.Contains(got, "now seen") {
		t.Errorf("%s", got)
	}
	b.Reset()
	if log, _, err = newLogger(config.Log{Level: "warn", Format: "console"}, &b); err != nil {
		t.Fatal(err)
	}
	log.Warn("careful", zap.Int("n", 1))
	if got := b.String(); !strings.Contains(got, `  WARN  careful  {"n": 1}`) {
		t.Errorf("%s", got)
	}
	for _, bad := range []config.Log{{Level: "loud", Format: "json"}, {Level: "info", Format: "xml"}} {
		if _, _, err := newLogger(bad, &b); fault.Code(err) != fault.UserCode {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestDescribe(t *testing.T) {
	for _, c := range []struct {
		code uint8
		data string
		want string
	}{
		{53, "\x01", "DISCOVER"}, {53, "\x01\x01", "0101"},
		{54, "\xc0\x00\x02\x01", "192.0.2.1"}, {54, "\xc0\x00", "c000"}, {54, "", "empty"},
		{57, "\x05\xc0", "1472"}, {57, "\x05\xc0\x00", "05c000"},
		{60, "PXEClient", `"PXEClient"`}, {67, "a\x1bb\x00", `"a\x1bb"`},
		{93, "\x00\x07\x00\x09", "x64-uefi, ebc"}, {93, "\x00", "00"},
		{97, "\x00ABCDEFGHIJKLMNOP", "41424344-4546-4748-494a-4b4c4d4e4f50"}, {97, "\x01AB", "014142"},
		{43, "\x06\x01\x08\xff", "discovery control (6) 08"}, {43, "\x06\x05\x08", "060508"},
		{82, "\x01\x05port1\x02\x02\x00\x01", `circuit-id (1) "port1", remote-id (2) 0001`},
		{77, "iPXE", `"iPXE"`}, {77, "\x04iPXE\x01x", `"iPXE", "x"`},
		{200, "\x01", "01"},
	} {
		if got := describe(c.code, []byte(c.data)); got.Value != c.want || got.Code != c.code || got.Name == "" {
			t.Errorf("%d %q: %+v, want %s", c.code, c.data, got, c.want)
		}
	}
}
