package xsk

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// All use of package unsafe is in this file: looking at mapped memory as ring
// words and slots, and the socket options that x/sys/unix has no wrapper for.

// wordsIn returns the index and flag words of the ring mapped at mem.
func wordsIn(mem []byte, off *unix.XDPRingOffset) words {
	return words{
		producer: (*atomic.Uint32)(unsafe.Pointer(&mem[off.Producer])),
		consumer: (*atomic.Uint32)(unsafe.Pointer(&mem[off.Consumer])),
		flags:    (*atomic.Uint32)(unsafe.Pointer(&mem[off.Flags])),
	}
}

// slotsIn returns the n slots of the ring mapped at mem.
func slotsIn[T slot](mem []byte, off *unix.XDPRingOffset, n int) []T {
	_ = mem[int(off.Desc)+n*slotSize[T]()-1]
	return unsafe.Slice((*T)(unsafe.Pointer(&mem[off.Desc])), n)
}

// slotSize returns the size in bytes of a ring slot.
func slotSize[T slot]() int {
	var t T
	return int(unsafe.Sizeof(t))
}

// registerUmem makes mem the UMEM of the socket.
func registerUmem(fd int, mem []byte) error {
	reg := unix.XDPUmemReg{
		Addr: uint64(uintptr(unsafe.Pointer(&mem[0]))),
		Len:  uint64(len(mem)),
		Size: FrameSize,
	}
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_UMEM_REG,
		uintptr(unsafe.Pointer(&reg)), unsafe.Sizeof(reg), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// getOption reads a SOL_XDP option into v.
func getOption[T any](fd, option int, v *T) error {
	size := uint32(unsafe.Sizeof(*v))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option),
		uintptr(unsafe.Pointer(v)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// kickTx tells the kernel to send what is in the TX ring.
func kickTx(fd int) syscall.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno
}

// kickRx tells the kernel that the fill ring has frames, and reports the state of the device.
func kickRx(fd int) syscall.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno
}
