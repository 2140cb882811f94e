package lab

import (
	"fmt"
	"net"
	"os"
)

// notifySocket takes what a process reports by sd_notify(3).
type notifySocket struct {
	path string
	conn *net.UnixConn
	said *Transcript // one assignment a line
}

func (l *Lab) listenNotify(name string) (*notifySocket, error) {
	path := l.Path(name + ".notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("lab: notify socket: %w", err)
	}
	// The process may have dropped what root may do.
	if err := os.Chmod(path, 0o666); err != nil {
		conn.Close()
		return nil, fmt.Errorf("lab: notify socket: %w", err)
	}
	n := &notifySocket{path: path, conn: conn, said: newTranscript(nil)}
	go n.read()
	return n, nil
}

func (n *notifySocket) read() {
	buf := make([]byte, 4096)
	for {
		size, err := n.conn.Read(buf)
		if err != nil {
			n.said.end()
			return
		}
		n.said.Write(append(buf[:size:size], '\n'))
	}
}

// close ends the reading; waits for what did not come fail from then on.
func (n *notifySocket) close() { n.conn.Close() }
