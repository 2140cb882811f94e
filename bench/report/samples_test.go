package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/xdpxe/xdpxe/bench/result"
)

// The samples have the shape and the size of what the commands find; their
// figures are made up and the same each time.

func base(tool string, command ...string) *result.Run {
	return &result.Run{
		Schema: result.Schema, Tool: "xdpxe-bench " + tool, Version: "v0.3.0", Command: command, Seconds: 34.2,
		Started: time.Date(2026, 11, 24, 21, 40, 0, 0, time.UTC),
		Machine: result.Machine{CPU: "Example CPU @ 2.60GHz", Cores: 2, Memory: 8 << 30, Kernel: "6.18.0-1-amd64",
			System: "Debian GNU/Linux 12 (bookworm)", Go: "go1.26.0", Programs: map[string]string{"dnsmasq": "2.90", "atftpd": "0.8"}},
	}
}

func dice() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// latencies fills a histogram with a long tail.
func latencies(r *rand.Rand, n int, typical time.Duration) *result.Histogram {
	h := result.NewHistogram()
	for range n {
		h.Record(time.Duration(float64(typical) * math.Exp(r.NormFloat64()*0.35+math.Pow(r.Float64(), 40)*4)))
	}
	return h
}

func rates(r *rand.Rand, name string, unit result.Unit, seconds int, level float64) result.Series {
	s := result.Series{Name: name, Unit: unit}
	for i := range seconds * 4 {
		ramp := math.Min(1, float64(i+1)/6)
		s.Points = append(s.Points, result.Point{T: float64(i) / 4, V: level * ramp * (1 + 0.06*r.NormFloat64())})
	}
	return s
}

func dhcpRun() *result.Run {
	r := dice()
	run := base("dhcp", "./xdpxe-bench", "dhcp", "-i", "veth0", "--rate", "200000", "--duration", "30s", "--html", "rack A.html")
	row := result.Row{Name: "DISCOVER", Limit: &result.Limit{By: result.ByGenerator, Why: "its core was busy for 99 % of the time"}}
	row.Add("answered rate", result.PerSecond, 198412)
	row.Add("answered", result.Share, 0.99998)
	h := latencies(r, 200000, 38*time.Microsecond)
	h.AddTo(&row, "offer")
	row.Curves = []result.Curve{h.Curve("offer"), latencies(r, 200000, 61*time.Microsecond).Curve("boot server ack")}
	row.Series = []result.Series{rates(r, "sent", result.PerSecond, 30, 200000), rates(r, "answered", result.PerSecond, 30, 198000)}
	row.Fail("no answer within 1 s", 4)
	run.Rows = []result.Row{row}
	run.Settings = []result.Setting{{Name: "interface", Value: "veth0"}, {Name: "rate", Value: "200000/s"}, {Name: "clients", Value: "1000000"}, {Name: "sender", Value: "af_xdp"}}
	run.Notes = []string{"The server's own count of answers agrees."}
	return run
}

func compareRun() *result.Run {
	r := dice()
	run := base("compare", "xdpxe-bench", "compare", "tftp", "--clients", "500", "--size", "4MiB", "--rounds", "3")
	for _, p := range []struct {
		name string
		rate float64
	}{{"xdpxe", 2.2e9}, {"dnsmasq 2.90", 0.22e9}, {"atftpd 0.8", 0.27e9}, {"tftpd-hpa 5.2", 0.08e9}, {"pin/tftp v3.2.0", 0.1e9}} {
		row := result.Row{Name: p.name, Limit: &result.Limit{By: result.ByServer, Why: "its process used 1.02 of 2 cores"}}
		spread := func(name string, unit result.Unit, v float64) {
			low, high := v*0.93, v*1.08
			row.Figures = append(row.Figures, result.Figure{Name: name, Unit: unit, Value: v, Low: &low, High: &high})
		}
		total := 500 * float64(4<<20) / p.rate
		spread("goodput", result.ByteRate, p.rate)
		spread("time p50", result.Seconds, total*0.7)
		spread("time p99", result.Seconds, total*0.98)
		spread("server cpu", result.SecsPerGiB, 2e8/p.rate*0.9)
		row.Add("fairness", result.Share, 0.97)
		row.Add("server memory", result.Bytes, 12<<20)
		h := result.NewHistogram()
		for i := range 500 {
			from := 0.001 * r.Float64()
			took := total * (0.55 + 0.45*r.Float64())
			outcome := "ok"
			if p.name == "tftpd-hpa 5.2" && i%25 == 0 {
				outcome = "timeout"
				row.Fail("timeout", 1)
			}
			s := result.Span{Client: fmt.Sprintf("client %d", i), From: from, To: from + took, Outcome: outcome}
			for k := range i % 4 {
				s.Marks = append(s.Marks, result.Mark{T: from + took*float64(k+1)/5, What: "retransmission"})
			}
			row.Spans = append(row.Spans, s)
			h.Record(time.Duration(took * 1e9))
		}
		row.Curves = []result.Curve{h.Curve("time")}
		row.Series = []result.Series{rates(r, "goodput", result.ByteRate, int(total)+2, p.rate)}
		run.Rows = append(run.Rows, row)
	}
	run.Settings = []result.Setting{{Name: "blksize", Value: "1468"}, {Name: "windowsize", Value: "16"}}
	return run
}

func stormRun() *result.Run {
	r := dice()
	run := base("storm", "xdpxe-bench", "storm", "--machines", "2000", "--arrival", "poisson")
	for i, name := range []string{"UEFI (edk2)", "BIOS", "iPXE"} {
		row := result.Row{Name: name, Limit: &result.Limit{By: result.ByRequest, Why: "every machine had its image"}}
		nbp, image := result.NewHistogram(), result.NewHistogram()
		n := []int{2000, 400, 24}[i]
		start := 0.0
		for k := range n {
			start += r.ExpFloat64() * 60 / float64(n)
			offer := start + 4 + 0.4*r.Float64()
			ack := offer + 1 + 0.1*r.Float64()
			first := ack + 0.5*r.Float64()
			end := first + 6 + 5*r.Float64()
			s := result.Span{Client: fmt.Sprintf("02:00:00:%02x:%02x:%02x", i, k>>8, k&255), From: start, To: end, Outcome: "ok",
				Marks: []result.Mark{{T: offer, What: "offer"}, {T: ack, What: "boot server ack"}, {T: first, What: "NBP"}}}
			if k%9 == 4 {
				s.Marks = append(s.Marks, result.Mark{T: first + 1, What: "retry"}, result.Mark{T: first + 2, What: "retry"})
			}
			if k%40 == 7 {
				s.Outcome, s.To, s.Marks = "no boot server answered", offer+2, s.Marks[:1]
				row.Fail(s.Outcome, 1)
			}
			row.Spans = append(row.Spans, s)
			nbp.Record(time.Duration((first - start) * 1e9))
			image.Record(time.Duration((end - start) * 1e9))
		}
		row.Add("machines", result.Count, float64(n))
		nbp.AddTo(&row, "to NBP")
		image.AddTo(&row, "to image")
		row.Curves = []result.Curve{nbp.Curve("time to NBP"), image.Curve("time to image")}
		row.Series = []result.Series{rates(r, "machines booting", result.Count, 60, float64(n)/4)}
		run.Rows = append(run.Rows, row)
	}
	return run
}

// rampRun has many rows, each a step.
func rampRun() *result.Run {
	run := base("dhcp", "xdpxe-bench", "dhcp", "--ramp", "10k:200k")
	for i := range 20 {
		row := result.Row{Name: fmt.Sprintf("step %d", i+1)}
		row.Add("offered", result.PerSecond, float64(10000*(i+1)))
		row.Add("answered", result.Share, math.Min(1, 1.6-float64(i)/20))
		row.Curves = []result.Curve{latencies(dice(), 3000, time.Duration(30+i*i)*time.Microsecond).Curve("offer")}
		run.Rows = append(run.Rows, row)
	}
	return run
}

// hostile is what a client or server may call itself.
const hostile = "</title></style><script>window.owned=1</script><img src=http://192.0.2.1/x onerror=window.owned=1>\"'><style>body{display:none}</style>"

// hostileRun has bad text and bad numbers wherever there is room for them.
func hostileRun() *result.Run {
	bad := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0, 1e300, 5e-324}
	run := base(hostile, hostile, "\x1b[2J", "")
	run.Version = hostile
	run.Machine.CPU, run.Machine.Kernel, run.Machine.Programs = hostile, "\u202e\x00\xff", map[string]string{hostile: hostile}
	run.Settings = []result.Setting{{Name: hostile, Value: hostile}}
	run.Notes = []string{hostile}
	for i := range 2 {
		row := result.Row{Name: hostile, Limit: &result.Limit{By: hostile, Why: hostile}}
		for k, v := range bad {
			f := result.Figure{Name: fmt.Sprint(k, hostile), Unit: result.Unit(hostile), Value: v, Low: &bad[0], High: &bad[1]}
			row.Figures = append(row.Figures, f, result.Figure{Name: fmt.Sprint("fine ", k), Value: float64(i)})
			row.Spans = append(row.Spans, result.Span{Client: hostile, From: v, To: bad[(k+1)%len(bad)], Outcome: hostile,
				Marks: []result.Mark{{T: v, What: hostile}, {T: -v, What: hostile}}})
		}
		row.Fail(hostile, 3)
		c, s := result.Curve{Name: hostile, Unit: result.Seconds}, result.Series{Name: hostile, Unit: result.Bytes}
		for _, a := range bad {
			for _, b := range bad {
				c.Points = append(c.Points, result.Percentile{P: a, V: b})
				s.Points = append(s.Points, result.Point{T: a, V: b})
			}
		}
		row.Curves, row.Series = []result.Curve{c, {}}, []result.Series{s, {}}
		run.Rows = append(run.Rows, row)
	}
	return run
}
