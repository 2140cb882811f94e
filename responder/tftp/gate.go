package tftp

import (
	"context"
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/content"
)

// Gate says what each client may have. It is asked beside the event loops, by
// several goroutines at once, and may take its time: the client waits alone,
// but for others whose files are looked up meanwhile.
type Gate interface {
	Open(o Opening) Grant
}

// Opening is a request that the gate is asked about.
type Opening struct {
	Client netip.AddrPort
	Server netip.Addr // our address that the client asked
	Name   string     // as the client has it; of a Restored transfer the path of the file below the root
	Write  bool       // an upload
	// ID names the transfer among all that this server ever has, and stays when
	// another process goes on with it: it is made of the addresses and ports of both
	// sides, of when it started, and of a hash of the request. One pair of
	// addresses and ports has one transfer at a time.
	ID       string
	Restored bool          // of a former process
	Root     *content.Root // where files are looked up
}

// Grant is the gate's answer. The zero Grant lets the client have the file.
type Grant struct {
	// How is how the request ends that the client does not get a file for:
	// Refused, BadTemplate, NotFound, Busy (silence, for the client asks again) and so on.
	How  Outcome
	Text string // for the client's ERROR, in place of the outcome's own
	Err  error  // for the log; what is about Root being closed has the gate asked again
	// Content is served in place of a file below the root, if it is not nil.
	Content []byte
	Follow  Follower // nil: nobody wants to hear of the transfer
}

// Follower hears how one transfer goes. Its methods are called beside the event
// loops, one after the other: Began first, unless there is no such file, and Ended
// last, unless the process is gone or has left the transfer to the next one.
type Follower interface {
	Began(size int64)
	// Moved is called at most once a second.
	Moved(acknowledged int64)
	// Holds says whether the last block waits for LastBlock, as long as the client
	// has patience. It is asked once, before Began.
	Holds() bool
	// LastBlock is called before the last block is sent for the first time. With an
	// error the block never leaves: the client gets an ERROR with its text, cut to
	// what fits. ctx ends with the transfer.
	LastBlock(ctx context.Context) error
	Ended(e Ending)
}

// Ending is how a transfer ended.
type Ending struct {
	Outcome Outcome
	// Confirmed: Complete, and the client has acknowledged the last block. Complete
	// is also what it counts as if nothing is heard after it.
	Confirmed    bool
	Acknowledged int64  // bytes
	Why          string // in more words than the outcome; may be empty
}
