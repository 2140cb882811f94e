package tftpload

import (
	"github.com/xdpxe/xdpxe/bench/result"
)

// Row is the report as a row of a run.
func (r *Report) Row(name string) result.Row {
	row := result.Row{Name: name}
	row.Add("goodput", result.ByteRate, r.Goodput())
	row.Add("wall", result.Seconds, r.Wall.Seconds())
	row.Add("completed", result.Count, float64(r.Completed))
	row.Add("failed", result.Count, float64(r.Failed))
	r.Times.AddTo(&row, "time")
	r.First.AddTo(&row, "first byte")
	row.Add("fairness", result.Count, r.Fairness)
	row.Add("repeated", result.Share, r.Repeated())
	row.Add("own retries", result.Count, float64(r.Packets.Resent))
	row.Add("ignored packets", result.Count, float64(r.Packets.Ignored+r.Strangers))
	if r.DroppedIn+r.DroppedOut > 0 {
		row.Add("lost on purpose", result.Count, float64(r.DroppedIn+r.DroppedOut))
	}
	row.Add("lost by clients", result.Count, float64(r.Overflows+r.SlowOverflows))
	row.Add("send errors", result.Count, float64(r.SendErrors))
	gib := float64(r.Packets.Bytes) / (1 << 30)
	perGiB := func(name string, seconds float64) {
		if gib > 0 {
			row.Add(name, result.SecsPerGiB, seconds/gib)
		}
	}
	row.Add("client CPU", result.Seconds, r.ClientCPU.Seconds())
	perGiB("client CPU per GiB", r.ClientCPU.Seconds())
	row.Add("client busy", result.Share, r.Busy)
	if s := r.Server; s != nil {
		if !s.Untold {
			row.Add("server CPU", result.Seconds, s.CPU.Seconds())
			perGiB("server CPU per GiB", s.CPU.Seconds())
		}
		row.Add("server RSS", result.Bytes, float64(s.RSS))
		row.Add("server anon", result.Bytes, float64(s.Anon))
		row.Add("others' CPU", result.Share, r.Others)
	}
	limit := r.Limit
	row.Limit = &limit
	for reason, n := range r.Failures {
		row.Fail(reason, n)
	}
	if r.Times.Count() > 0 {
		row.Curves = []result.Curve{r.Times.Curve("time"), r.First.Curve("first byte")}
	}
	row.Series = []result.Series{{Name: "throughput", Unit: result.ByteRate, Points: r.Throughput}}
	row.Spans = r.Spans
	return row
}
