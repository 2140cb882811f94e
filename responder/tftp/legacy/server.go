package legacy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/pin/tftp/v3"

	"github.com/xdpxe/xdpxe/responder/content"
)

// Options are what a Server serves.
type Options struct {
	// Uploads takes write requests. nil: none.
	Uploads *Uploads
	// Netascii serves reads in that mode.
	Netascii bool
	// Timeout is the wait for a client before a packet is repeated, GiveUp for how
	// long that goes on.
	Timeout, GiveUp time.Duration
}

// Request is a request that the event loops set aside.
type Request struct {
	Write     bool
	Netascii  bool
	Name      string
	Blksize   int   // that may be granted; 0: none was asked for
	Announced int64 // length of an upload as the client has it; 0: it did not say
	// Open looks up the file of a read. It is the session's then.
	Open func() (*content.File, error)
}

// Link is the way to the client of one request.
type Link interface {
	Send(p []byte) error
	// Receive returns the next packet, valid until the next call. An error means
	// that the client is gone, or the link closed.
	Receive() ([]byte, error)
	Close() error
}

// Ends of a session besides those of uploads and of Options.Open.
var (
	ErrAborted     = errors.New("the client sent an ERROR")
	ErrSilent      = errors.New("the client fell silent")
	ErrUnreachable = errors.New("the client is gone")
	ErrStopped     = errors.New("the server stops")
	ErrChanged     = errors.New("file changed during the transfer")
	ErrIncomplete  = errors.New("not as long as announced")
	ErrBusy        = errors.New("the transfer could not begin")
)

const (
	beginning = 5 * time.Second // for pin/tftp to call us
	lingering = 6 * time.Second // that a last acknowledgement is repeated: tftp-hpa waits for five
)

// Server serves sessions. Its methods are safe for concurrent use.
type Server struct {
	opts   Options
	folder *folder // nil without uploads
	pin    *tftp.Server
	inlet  *inlet
	served sync.WaitGroup

	mu       sync.Mutex
	serial   int
	sessions map[string]*session // that pin/tftp has not called for yet
}

// New starts a server. The caller must Close it.
func New(opts Options) (*Server, error) {
	s := &Server{opts: opts, inlet: newInlet(), sessions: map[string]*session{}}
	if opts.Uploads != nil {
		var err error
		if s.folder, err = openFolder(*opts.Uploads); err != nil {
			return nil, err
		}
	}
	s.pin = tftp.NewServer(s.onRead, s.onWrite)
	s.pin.SetTimeout(opts.Timeout)
	s.pin.SetRetries(int(opts.GiveUp / opts.Timeout))
	s.pin.SetBackoff(func(int) time.Duration { return 0 })
	s.pin.SetBlockSizeNegotiation(false) // Request.Blksize knows better than loopback
	s.served.Go(func() {
		// It ends with the inlet, and has nothing to say.
		_ = s.pin.Serve(s.inlet)
	})
	return s, nil
}

// Close ends the server when all calls of Serve have returned.
func (s *Server) Close() {
	s.inlet.Close() // pin/tftp closes it only when it has begun to read
	s.pin.Shutdown()
	s.served.Wait()
	if s.folder != nil {
		s.folder.close()
	}
}

// Uploads says whether write requests are served, Netascii whether reads in that mode are.
func (s *Server) Uploads() bool  { return s.folder != nil }
func (s *Server) Netascii() bool { return s.opts.Netascii }

// Serve serves one request and closes the link. It calls ended when the client
// has everything, or nothing more to expect, and sends ERRORs to nobody: that is
// for ended to do. It returns later: when no packet of the client's can be late any
// more, or ctx ends.
func (s *Server) Serve(ctx context.Context, r Request, link Link, progress *Progress, ended func(error)) {
	t := &session{request: r, link: link, progress: progress, done: make(chan struct{})}
	defer link.Close()
	if err := s.open(t); err != nil {
		ended(err)
		return
	}
	defer t.close()
	if err := t.connect(); err != nil {
		ended(err)
		return
	}
	key := s.add(t)
	var pumps sync.WaitGroup
	defer pumps.Wait()
	defer link.Close()
	defer t.conn.Close()
	pumps.Go(t.fromClient)
	pumps.Go(t.fromPin)

	err := s.transfer(ctx, t, key)
	t.close() // who hears of the end sees it
	ended(err)
	if err == nil && r.Write {
		select {
		case <-time.After(lingering):
		case <-ctx.Done():
		}
	}
}

// open opens what a session reads or writes.
func (s *Server) open(t *session) (err error) {
	if t.request.Write {
		t.upload, err = s.folder.create(t.request.Name, t.request.Announced)
		if err == nil {
			t.progress.named(t.upload.path, t.request.Announced)
		}
		return err
	}
	file, err := t.request.Open()
	if err == nil {
		t.source = &source{file: file}
		t.progress.named(file.Path(), file.Size())
	}
	return err
}

// transfer lets pin/tftp do a session's work and returns how it ended.
func (s *Server) transfer(ctx context.Context, t *session, key string) error {
	if !s.inlet.put(t.requestPacket(key), t.conn.LocalAddr()) {
		return ErrStopped
	}
	late := time.NewTimer(beginning)
	defer late.Stop()
	for {
		select {
		case <-t.done:
			return t.end()
		case <-late.C:
			if s.take(key) != nil { // nobody will call: no descriptor for its socket
				return ErrBusy
			}
		case <-ctx.Done():
			if s.take(key) != nil {
				return ErrStopped
			}
			t.interrupt(ErrStopped)
			<-t.done
			return t.end()
		}
	}
}

// add gives a session the name by which pin/tftp asks for it.
func (s *Server) add(t *session) (key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	key = strconv.Itoa(s.serial)
	s.sessions[key] = t
	return key
}

// take returns a session to the one who asks first.
func (s *Server) take(key string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.sessions[key]
	delete(s.sessions, key)
	return t
}

// onWrite is called by pin/tftp for a write request, and sends the last
// acknowledgement when it returns nil.
func (s *Server) onWrite(key string, from io.WriterTo) error {
	t := s.take(key)
	if t == nil {
		return ErrStopped
	}
	defer close(t.done)
	n, err := from.WriteTo(&counted{t.upload, t.progress})
	if err == nil && !t.request.Netascii && t.request.Announced > 0 && n != t.request.Announced {
		err = fmt.Errorf("%d bytes of %d: %w", n, t.request.Announced, ErrIncomplete)
	}
	if err == nil {
		t.committed = true
		err = t.upload.commit()
	}
	t.err = err
	if err == nil {
		t.finish()
	}
	return err
}

// onRead is called by pin/tftp for a read request.
func (s *Server) onRead(key string, to io.ReaderFrom) error {
	t := s.take(key)
	if t == nil {
		return ErrStopped
	}
	defer close(t.done)
	_, t.err = to.ReadFrom(&countedReader{bufio.NewReaderSize(t.source, 1<<16), t.progress})
	return t.err
}
