package limits
import ("testing";"context";"fmt")
func TestProtoBlast(t *testing.T) {
	for _, th := range []int{1,2} { for _, b := range []int{16,40} { for _, ns := range []bool{false,true} {
		o := BlastOptions{Blocks: b, Threads: th}
		if ns { c, err := lay(1); if err != nil { t.Fatal(err) }; defer c.close(); o.From, o.To, o.Addr = c.near, c.far, farAddr }
		r, err := Blast(context.Background(), o)
		fmt.Printf("threads %d blocks %d veth %v: %.2f GB/s got, %.2f GB/s sent %v %v\n", th, b, ns, float64(r.Received)/r.Elapsed.Seconds()/1e9, float64(r.Sent)/r.Elapsed.Seconds()/1e9, r.Elapsed, err)
	}}}
}
