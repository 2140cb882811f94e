// Package tftptest has a windowed TFTP client for tests: it speaks RFC 1350,
// 2347, 2348, 2349 and 7440 as strictly as firmware does, answers gaps like edk2
// or like U-Boot, and can lose, duplicate and reorder packets in both directions.
//
// Receiver is the protocol without sockets and clock, Link the bad network, and
// Client puts them on a UDP socket.
package tftptest
