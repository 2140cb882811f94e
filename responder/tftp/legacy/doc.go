// Package legacy serves what the event loops of package tftp do not: uploads
// (write requests) and reads in mode netascii. Both are rare, and off unless
// configured. github.com/pin/tftp has their protocol: one block at a time, with
// a goroutine and a socket for each transfer.
//
// # Shape
//
// pin/tftp opens the socket of a transfer itself, on a port and with a source
// address of the kernel's choice, and reports what went wrong as ERROR 1 with
// the text of a Go error. Clients need answers from the address that they asked,
// firewalls from the ports that were agreed on. So the two do not meet: pin/tftp
// talks to a socket on loopback, and a session carries packets between that and
// the Link, which is the caller's way to the client:
//
//	client <-> Link <-> session <-> 127.0.0.1 <-> pin/tftp <-> file
//
// Its single-port mode would need no such socket, but it sends on a channel that
// a transfer's end closes (single_port.go, v3.2.0): a late packet can end the
// process.
//
// # Uploads
//
// A file is written beside the others of the folder under a name of our own and
// gets the client's when it is whole, synced, and as long as was announced; only
// then is the last block acknowledged. That acknowledgement is repeated for some
// seconds if it gets lost. What is not whole is removed, at the latest when the
// next Server starts. All names go through an os.Root. The limits count what is in
// the folder and what is under way; files that others take away make room.
package legacy
