package result

import (
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
		{Ratio, 8, "8 ×"}, {Count, 3, "3"},
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
	if n := testing.AllocsPerRun(100, func() { a.Record(time.Millisecond) }); n != 0 {
		t.Errorf("Record allocates %g times", n)
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
