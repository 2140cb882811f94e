package loader

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/xdpxe/xdpxe/loader/netdev"
)

// distrust is how long a driver that lost all replies is not believed, where
// no probe says when it has become better.
const distrust = 10 * time.Minute

// txWatch compares how many replies the program sent with how many the driver lost.
type txWatch struct {
	mu               sync.Mutex
	begun            bool
	answered, errors uint64 // as of the last look
	why              string
	at               time.Time // of the last look that found all lost
}

// lost is the share of replies, in per cent, from which on all count as lost:
// the two counters are not read at one moment.
const lost = 90

// look takes the totals of now, and returns how many replies there were since
// the last time, if hardly any of them left.
func (w *txWatch) look(answered, errors uint64) (gone uint64) {
	a, e := answered-w.answered, errors-w.errors
	if !w.begun {
		a = 0
	}
	w.begun, w.answered, w.errors = true, answered, errors
	if a > 0 && e*100 >= a*lost {
		return a
	}
	return 0
}

// WatchTX looks whether replies of the program are lost by the driver, and is
// cheap enough for each second. answered is how many the program has sent since
// Open. A non-empty answer says that hardly any of those since the last call
// left the interface. ProbeTX says when it is over.
func (d *Datapath) WatchTX(answered uint64) (why string, err error) {
	info := d.Info()
	if info.Mode != ModeNative {
		return "", nil
	}
	errors, err := txErrors(info.Iface)
	if err != nil {
		return "", err
	}
	w := &d.tx
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.look(answered, errors)
	if n == 0 {
		return "", nil
	}
	w.why = fmt.Sprintf("driver %s lost the last %d replies that XDP sent", info.Driver, n)
	w.at = time.Now()
	return w.why, nil
}

// distrusted says why the driver is not believed; empty: it is.
func (d *Datapath) distrusted() string {
	d.tx.mu.Lock()
	defer d.tx.mu.Unlock()
	if d.tx.why == "" || time.Since(d.tx.at) > distrust {
		return ""
	}
	return d.tx.why
}

// txErrors adds up what a driver says of frames that XDP_TX lost. Names differ:
// veth rx_queue_0_xdp_tx_errors, mlx5 rx_xdp_tx_err and rx_xdp_tx_full,
// virtio_net rx0_xdp_tx_drops or tx0_xdp_tx_drops. A driver without such a counter has none.
func txErrors(ifname string) (n uint64, err error) {
	stats, err := netdev.Stats(ifname)
	if err != nil {
		return 0, err
	}
	for _, s := range stats {
		if isTXError(s.Name) {
			n += s.Value
		}
	}
	return n, nil
}

func isTXError(name string) bool {
	_, what, ok := strings.Cut(name, "xdp_tx_")
	if !ok {
		return false
	}
	for _, prefix := range []string{"err", "drop", "full", "busy"} {
		if strings.HasPrefix(what, prefix) {
			return true
		}
	}
	return false
}
