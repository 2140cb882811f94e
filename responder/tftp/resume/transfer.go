package resume

// Transfer is what it takes to go on with a transfer.
type Transfer struct {
	Client [16]byte // address of the client; IPv4 in mapped form
	Zone   uint32   // scope of an IPv6 link-local address
	Port   uint16   // of the client
	Local  [16]byte // our address

	Socket uint16 // number of our sockets
	TID    uint16 // our port

	Blksize uint16 // bytes
	Window  uint16 // blocks
	Burst   uint16 // blocks that leave at once; 0: all
	MTU     uint16 // of the interface; 0: unknown
	Timeout uint8  // seconds; 0: none negotiated
	Options uint8  // of the OACK, as the server numbers them; 0: none was sent

	Size    int64  // of the file, in bytes
	Request uint64 // identifies the request
	Started int64  // wall clock, in nanoseconds

	// Base is the first block that is not acknowledged; 0: the OACK is not either.
	Base uint64
}

// File is one state of one file.
type File struct {
	Path      string // relative to the root
	Dev, Ino  uint64
	Size      int64
	Sec, Nsec int64 // of the last modification
}

// fields lays the fixed part of a transfer out.
func (t *Transfer) fields(file uint64) fixed {
	return fixed{
		size: t.Size, request: t.Request, started: t.Started, file: file, client: t.Client, local: t.Local, zone: t.Zone, port: t.Port,
		tid: t.TID, socket: t.Socket, blksize: t.Blksize, window: t.Window, burst: t.Burst, mtu: t.MTU, timeout: t.Timeout, options: t.Options,
	}
}

func (f *fixed) transfer(base uint64) Transfer {
	return Transfer{
		Client: f.client, Zone: f.zone, Port: f.port, Local: f.local, Socket: f.socket, TID: f.tid, Blksize: f.blksize, Window: f.window,
		Burst: f.burst, MTU: f.mtu, Timeout: f.timeout, Options: f.options, Size: f.size, Request: f.request, Started: f.started, Base: base,
	}
}

// Bounds of RFC 2348.
const (
	minBlksize = 8
	maxBlksize = 65464
)

// valid says whether a transfer can be what the server once was about. The
// checksum said so already; this is for what a server of the same layout with a
// mistake in it may have left.
func (t *Transfer) valid(f *File) bool {
	if t.Port == 0 || t.TID == 0 || t.Blksize < minBlksize || t.Blksize > maxBlksize || t.Window == 0 || t.Size < 0 || t.Size != f.Size {
		return false
	}
	last := uint64(t.Size)/uint64(t.Blksize) + 1
	return t.Base <= last && (t.Base != 0 || t.Options != 0)
}
