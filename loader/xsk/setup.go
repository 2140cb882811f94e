package xsk

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"golang.org/x/sys/unix"
)

// Sizes that Open takes for those left 0.
const (
	DefaultFrames   = 4096 // 8 MiB of locked memory
	DefaultRingSize = 2048
)

// unbindTime bounds the wait for a queue that another socket has: the kernel
// gives up the queue of a closed socket in a work item of its own.
const (
	unbindTime  = time.Second
	unbindRetry = 10 * time.Millisecond
)

// Config says what to open. Ring sizes are powers of two; the fill ring is as
// large as RxSize, the completion ring as TxSize.
type Config struct {
	IfIndex  int
	Queue    int  // receive and transmit queue of the device
	Frames   int  // UMEM frames for both directions, more than RxSize; 0: DefaultFrames
	RxSize   int  // frames posted for reception at most; 0: half of Frames
	TxSize   int  // 0: half of Frames
	ZeroCopy bool // insist on zero-copy; otherwise copy mode
}

// Info says what was obtained.
type Info struct {
	IfIndex, Queue         int
	Frames, RxSize, TxSize int
	ZeroCopy               bool // as the kernel reports it (XDP_OPTIONS)
}

// withDefaults completes and checks c.
func (c Config) withDefaults() (Config, error) {
	if c.Frames == 0 {
		c.Frames = DefaultFrames
	}
	half := 0
	if c.Frames >= 2 {
		half = 1 << (bits.Len(uint(c.Frames)/2) - 1)
	}
	if c.RxSize == 0 {
		c.RxSize = half
	}
	if c.TxSize == 0 {
		c.TxSize = half
	}
	switch {
	case c.IfIndex <= 0:
		return c, fmt.Errorf("ifindex %d: no interface", c.IfIndex)
	case c.Queue < 0:
		return c, fmt.Errorf("queue %d: negative", c.Queue)
	case c.RxSize <= 0 || c.RxSize&(c.RxSize-1) != 0 || c.TxSize <= 0 || c.TxSize&(c.TxSize-1) != 0:
		return c, fmt.Errorf("ring sizes %d and %d: not powers of two", c.RxSize, c.TxSize)
	case c.Frames <= c.RxSize || c.Frames > 1<<20:
		return c, fmt.Errorf("%d frames: want more than the RX ring's %d and at most %d", c.Frames, c.RxSize, 1<<20)
	}
	return c, nil
}

// Open makes a socket and binds it to a queue. It receives once its FD is in
// an XSKMAP that an XDP program on the device redirects to. It needs
// CAP_NET_RAW, and CAP_IPC_LOCK or room in RLIMIT_MEMLOCK for the frames.
func Open(c Config) (*Socket, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("AF_XDP socket: %w", err)
	}
	s := &Socket{
		fd: -1, event: -1, done: make(chan struct{}),
		info: Info{IfIndex: c.IfIndex, Queue: c.Queue, Frames: c.Frames, RxSize: c.RxSize, TxSize: c.TxSize},
	}
	if err := s.open(c); err != nil {
		s.takeDown()
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	return s, nil
}

func (s *Socket) open(c Config) (err error) {
	s.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return fmt.Errorf("socket: %w: %w", ErrNotSupported, err)
	} else if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if s.event, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	if err := s.openUmem(c); err != nil {
		return err
	}
	if err := s.openRings(c); err != nil {
		return err
	}
	// Drivers may take their first fill frames at bind and never ask again.
	s.refill()
	if err := s.bind(c); err != nil {
		return err
	}
	var options uint32
	if err := getOption(s.fd, unix.XDP_OPTIONS, &options); err != nil {
		return fmt.Errorf("XDP_OPTIONS: %w", err)
	}
	s.info.ZeroCopy = options&unix.XDP_OPTIONS_ZEROCOPY != 0
	return nil
}

func (s *Socket) openUmem(c Config) error {
	mem, err := unix.Mmap(-1, 0, c.Frames*FrameSize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("mmap of %d frames: %w", c.Frames, err)
	}
	s.umem = newUmem(mem)
	if err := registerUmem(s.fd, mem); errors.Is(err, unix.ENOBUFS) {
		return fmt.Errorf("XDP_UMEM_REG of %d bytes: %w: %w", len(mem), ErrMemlock, err)
	} else if err != nil {
		return fmt.Errorf("XDP_UMEM_REG: %w", err)
	}
	return nil
}

func (s *Socket) openRings(c Config) error {
	for _, r := range []struct {
		name         string
		option, size int
	}{
		{"XDP_UMEM_FILL_RING", unix.XDP_UMEM_FILL_RING, c.RxSize},
		{"XDP_UMEM_COMPLETION_RING", unix.XDP_UMEM_COMPLETION_RING, c.TxSize},
		{"XDP_RX_RING", unix.XDP_RX_RING, c.RxSize},
		{"XDP_TX_RING", unix.XDP_TX_RING, c.TxSize},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, r.option, r.size); err != nil {
			return fmt.Errorf("%s of %d: %w", r.name, r.size, err)
		}
	}
	var off unix.XDPMmapOffsets
	if err := getOption(s.fd, unix.XDP_MMAP_OFFSETS, &off); err != nil {
		return fmt.Errorf("XDP_MMAP_OFFSETS: %w", err)
	}
	var err error
	if s.fill.words, s.fill.slots, err = mapRing[uint64](s, unix.XDP_UMEM_PGOFF_FILL_RING, &off.Fr, c.RxSize); err != nil {
		return fmt.Errorf("fill ring: %w", err)
	}
	if s.comp.words, s.comp.slots, err = mapRing[uint64](s, unix.XDP_UMEM_PGOFF_COMPLETION_RING, &off.Cr, c.TxSize); err != nil {
		return fmt.Errorf("completion ring: %w", err)
	}
	if s.rx.words, s.rx.slots, err = mapRing[unix.XDPDesc](s, unix.XDP_PGOFF_RX_RING, &off.Rx, c.RxSize); err != nil {
		return fmt.Errorf("RX ring: %w", err)
	}
	if s.tx.words, s.tx.slots, err = mapRing[unix.XDPDesc](s, unix.XDP_PGOFF_TX_RING, &off.Tx, c.TxSize); err != nil {
		return fmt.Errorf("TX ring: %w", err)
	}
	return nil
}

// mapRing maps the ring at page offset pgoff and notes the mapping for takeDown.
func mapRing[T slot](s *Socket, pgoff int64, off *unix.XDPRingOffset, n int) (words, []T, error) {
	mem, err := unix.Mmap(s.fd, pgoff, int(off.Desc)+n*slotSize[T](), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return words{}, nil, fmt.Errorf("mmap: %w", err)
	}
	s.rings = append(s.rings, mem)
	return wordsIn(mem, off), slotsIn[T](mem, off, n), nil
}

// bind binds the socket to its queue in exactly the mode that was asked for.
func (s *Socket) bind(c Config) error {
	addr := &unix.SockaddrXDP{Flags: unix.XDP_USE_NEED_WAKEUP | unix.XDP_COPY, Ifindex: uint32(c.IfIndex), QueueID: uint32(c.Queue)}
	mode := "copy mode"
	if c.ZeroCopy {
		addr.Flags, mode = unix.XDP_USE_NEED_WAKEUP|unix.XDP_ZEROCOPY, "zero-copy"
	}
	err := unix.Bind(s.fd, addr)
	for deadline := time.Now().Add(unbindTime); errors.Is(err, unix.EBUSY) && time.Now().Before(deadline); {
		time.Sleep(unbindRetry)
		err = unix.Bind(s.fd, addr)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("bind: %w: %w", ErrQueueBusy, err)
	case c.ZeroCopy && errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("bind: %w: %w", ErrNoZeroCopy, err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("bind in %s: %w (does the device have this queue?)", mode, err)
	}
	return fmt.Errorf("bind in %s: %w", mode, err)
}
