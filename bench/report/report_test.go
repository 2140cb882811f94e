package report

import (
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/result"
)

func render(t *testing.T, runs ...*result.Run) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, runs...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
