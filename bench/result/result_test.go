package result

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func sample() *Run {
	return &Run{Rows: []Row{
		{Name: "xdpxe", Figures: []Figure{{Name: "goodput", Unit: ByteRate, Value: 2e9}, {Name: "answered", Unit: Share, Value: 0.99}, {Name: "offer p99", Unit: Seconds, Value: 40e-6}}},
		{Name: "atftpd", Figures: []Figure{{Name: "goodput", Unit: ByteRate, Value: 0.25e9}}},
	}}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		bound string
		miss  string // part of the error; "": it holds
	}{
		{"goodput >= 2GB/s", ""},
		{"goodput>=2.1GB/s", "missed: it is 2e+09"},
		{"answered >= 97.5%", ""},
		{"answered == 1", "missed"},
		{"offer p99 <= 50us", ""},
		{"xdpxe: offer p99 < 40µs", "missed"},
		{"atftpd: goodput < 300MB/s", ""},
		{"xdpxe/atftpd: goodput >= 8", ""},
		{"xdpxe / atftpd: goodput > 8x", "missed: it is 8"},
		{"dnsmasq: goodput > 1", "no row \"dnsmasq\""},
		{"speed > 1", "no figure"},
		{"xdpxe/atftpd: answered > 1", "no figure"},
	} {
		b, err := ParseBound(c.bound)
		if err != nil {
			t.Errorf("%q: %v", c.bound, err)
			continue
		}
		err = b.Check(sample())
		if c.miss == "" && err != nil || c.miss != "" && (err == nil || !strings.Contains(err.Error(), c.miss)) {
			t.Errorf("%q: got %v, want %q", c.bound, err, c.miss)
		}
		if there := !strings.HasPrefix(c.miss, "no "); b.Applies(sample()) != there {
			t.Errorf("%q applies: %v, want %v", c.bound, !there, there)
		}
	}
	for _, bad := range []string{"", "goodput", "goodput 3", "goodput >= ", "goodput >= 3 parsecs", "goodput => 3", "a:b:c > 1", "x > 1.2.3"} {
		if b, err := ParseBound(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, b)
		}
	}
}

func TestUnitText(t *testing.T) {
	for _, c := range []struct {
		unit Unit
		v    float64
		want string
	}{
		{Share, 0.975, "97.5 %"}, {Share, 1, "100 %"}, {Seconds, 54e-6, "54 µs"}, {Seconds, 0.0125, "12.5 ms"}, {Seconds, 4.84, "4.84 s"},
		{Seconds, 0, "0 s"}, {Bytes, 512, "512 B"}, {Bytes, 4 << 20, "4 MiB"}, {ByteRate, 2.25e9, "2.25 GB/s"}, {PerSecond, 247964.3, "247964/s"},
		{Ratio, 8, "8 ×"}, {Count, 3, "3"}, {Count, 12345678, "12345678"}, {PerSecond, 3.2719, "3.272/s"}, {PerSecond, -0.00001, "0/s"},
		{Seconds, 28e-9, "28 ns"}, {Seconds, 0.98765, "987.6 ms"}, {ByteRate, 251.234e6, "251.2 MB/s"}, {SecsPerGiB, 0.4567, "0.457 s/GiB"},
		{Share, 0.99999, "99.999 %"}, {Share, 0.00001, "0.001 %"}, {Share, 0, "0 %"}, {Share, 1 - 1e-12, "100 %"}, {Share, 0.66666, "66.67 %"},
		{Share, math.NaN(), "NaN %"}, {Seconds, math.Inf(1), "+Inf s"}, {Bytes, math.Inf(-1), "-Inf TiB"}, {Count, 1e300, "1e+300"},
	} {
		if got := c.unit.Text(c.v); got != c.want {
			t.Errorf("%s of %g: %q, want %q", c.unit, c.v, got, c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	var rounds []Row
	for _, v := range []float64{5, 1, 9, 3} {
		r := Row{Name: "x"}
		r.Add("rate", PerSecond, v)
		r.Fail("timeout", 2)
		rounds = append(rounds, r)
	}
	m := Median(rounds)
	f := m.Figures[0]
	if f.Value != 3 || *f.Low != 1 || *f.High != 9 || m.Failures["timeout"] != 8 {
		t.Errorf("%+v", m)
	}
}

func TestHistogram(t *testing.T) {
	a, b := NewHistogram(), NewHistogram()
	for i := range 100 {
		a.Record(time.Duration(i+1) * time.Microsecond)
	}
	b.RecordN(time.Second, 100)
	b.Record(-5)
	b.Record(1000 * time.Hour)
	a.Merge(b)
	if a.Count() != 202 {
		t.Errorf("%d values", a.Count())
	}
	if p := a.Quantile(0.25); p < 45e-6 || p > 55e-6 {
		t.Errorf("p25 %g", p)
	}
	if p := a.Quantile(0.9); p < 0.999 || p > 1.001 {
		t.Errorf("p90 %g", p)
	}
	c := NewHistogram()
	c.Record(time.Millisecond)
	for _, share := range []float64{0, 0.01} {
		if p := c.Quantile(share); p < 0.99e-3 || p > 1e-3 {
			t.Errorf("the %g quantile of a lone value is %g", share, p)
		}
	}
	if n := testing.AllocsPerRun(100, func() { a.Record(time.Millisecond) }); n != 0 {
		t.Errorf("Record allocates %g times", n)
	}
}

func TestSpreadText(t *testing.T) {
	for _, c := range []struct {
		unit          Unit
		low, mid, top float64
		want          string
	}{
		{ByteRate, 1.9e9, 2e9, 2.1e9, "2 GB/s (1.9 to 2.1)"},
		{ByteRate, 0.9e9, 1e9, 1.1e9, "1 GB/s (900 MB/s to 1.1)"},
		{Seconds, 900e-6, 1e-3, 1.5e-3, "1 ms (900 µs to 1.5)"},
		{Share, 0.98, 0.99, 1, "99 % (98 to 100)"},
		{Share, 1, 1, 1, "100 %"},
	} {
		if got := (Figure{Unit: c.unit, Value: c.mid, Low: &c.low, High: &c.top}).Text(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"52:54:00:00:00:01": "52:54:00:00:00:01",
		"a\x1b[31mb\nc":     "a\ufffd[31mb\ufffdc",
		"\u202etxt.exe":     "\ufffdtxt.exe",
		"\xff\x00":          "\ufffd\ufffd",
		"Größe 3 µs":        "Größe 3 µs",
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// More figures than rows go down, more rows than figures too; numbers end in one column.
func TestTableShape(t *testing.T) {
	figures := func(row *Run) []string {
		var b strings.Builder
		if err := row.WriteTable(&b); err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	}
	wide := &Run{Rows: []Row{{Name: "xdpxe"}, {Name: "dnsmasq"}}}
	for i := range wide.Rows {
		wide.Rows[i].Add("rate", PerSecond, float64(100000-99999*i))
		wide.Rows[i].Add("p50", Seconds, 1)
	}
	wide.Rows[1].Add("p99", Seconds, 2)
	if got, want := figures(wide), []string{
		"         xdpxe  dnsmasq",
		"rate  100000/s      1/s",
		"p50        1 s      1 s",
		"p99          -      2 s",
	}; !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	long := &Run{Rows: []Row{{Name: "udp echo"}, {Name: "af_xdp"}}}
	long.Rows[0].Add("rate", PerSecond, 5)
	long.Rows[1].Add("rate", PerSecond, 50)
	if got, want := figures(long), []string{
		"          rate",
		"udp echo   5/s",
		"af_xdp    50/s",
	}; !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	one := &Run{Rows: []Row{{Name: "x\x1b"}}}
	one.Rows[0].Add("rate", PerSecond, 5)
	one.Rows[0].Fail("server said \x1b[2J", 1)
	if got, want := figures(one), []string{"rate  5/s", "failed: server said \ufffd[2J: 1"}; !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if got := figures(&Run{}); len(got) != 1 || got[0] != "" {
		t.Errorf("an empty run: %q", got)
	}
}

func TestTable(t *testing.T) {
	r := sample()
	r.Rows[0].Limit = &Limit{ByGenerator, "its core was busy"}
	r.Rows[1].Fail("timeout", 3)
	r.Notes = []string{"hello"}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"goodput", "2 GB/s", "250 MB/s", "99 %", "-", "xdpxe: the limit was the generator: its core was busy", "atftpd: failed: timeout: 3", "note: hello"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestAddLeavesOutWhatIsNoNumber(t *testing.T) {
	var r Row
	zero := 0.0
	r.Add("rate", PerSecond, 1/zero)
	r.Add("share", Share, zero/zero)
	r.Add("fine", Count, 1)
	if len(r.Figures) != 1 || r.Figures[0].Name != "fine" {
		t.Errorf("%+v", r.Figures)
	}
}
