package keeper

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// socket is the end of NOTIFY_SOCKET that listens.
type socket struct {
	conn    *net.UnixConn
	address string
}

func listen() (*socket, error) {
	address := fmt.Sprintf("@xdpxe-keep-%d-%s", os.Getpid(), rand.Text())
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		var opt error
		err = raw.Control(func(fd uintptr) { opt = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
		if err == nil {
			err = opt
		}
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	return &socket{conn, address}, nil
}

// datagram is one message as it came.
type datagram struct {
	pid   int // of the sender; 0: unknown
	text  string
	files []*os.File
}

// Bounds of a datagram.
const (
	maxText  = 4096
	maxFiles = 253 // SCM_MAX_FD
)

// receive waits for the next datagram.
func (s *socket) receive() (d datagram, err error) {
	text := make([]byte, maxText)
	oob := make([]byte, unix.CmsgSpace(4*maxFiles)+unix.CmsgSpace(unix.SizeofUcred))
	n, oobn, _, _, err := s.conn.ReadMsgUnix(text, oob)
	if err != nil {
		return d, err
	}
	d.text = string(text[:n])
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return d, nil // the kernel's own; without credentials it is nobody's
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			d.pid = int(cred.Pid)
		}
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			for _, fd := range fds {
				d.files = append(d.files, os.NewFile(uintptr(fd), "stored"))
			}
		}
	}
	return d, nil
}

// mark sends a datagram to ourselves, after all that came before.
func (s *socket) mark() error {
	_, err := s.conn.WriteToUnix([]byte("X_MARK=1"), s.conn.LocalAddr().(*net.UnixAddr))
	if err != nil {
		return fmt.Errorf("notify socket: %w", err)
	}
	return nil
}
