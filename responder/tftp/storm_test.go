package tftp

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

// TestStorm has 2,000 clients that ask at once, as when the power comes back:
// all of them finish, and none has to ask more than twice for anything.
func TestStorm(t *testing.T) {
	const clients, names, size = 2000, 40, 8 << 10
	files := map[string][]byte{}
	for i := range names {
		files[fmt.Sprint("file", i)] = randomFile(size+i, uint64(i))
	}
	cfg := DefaultConfig()
	cfg.Port, cfg.Workers = 0, 2
	b := serve(t, cfg, files)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range clients {
		name := fmt.Sprint("file", i%names)
		wg.Go(func() {
			<-start
			var got bytes.Buffer
			c := tftptest.Client{Server: b.addr, Retry: 4 * time.Second, Tries: 1}
			if _, err := c.Get(t.Context(), tftptest.Request{Name: name, Tsize: true, Blksize: 1468, Window: 4}, &got); err != nil {
				t.Errorf("client %d: %v", i, err)
			} else if !bytes.Equal(got.Bytes(), files[name]) {
				t.Errorf("client %d: wrong bytes of %s", i, name)
			}
		})
	}
	close(start)
	wg.Wait()
	st := b.Stats()
	t.Logf("%d requests, %d of them repeated, %d datagrams dropped, %d blocks sent again", st.Requests, st.Repeated, st.Dropped, st.Retransmits)
	for o := NotFound; o < NumOutcomes; o++ {
		if st.Outcomes[o] != 0 {
			t.Errorf("%d requests ended as %v", st.Outcomes[o], o)
		}
	}
}
