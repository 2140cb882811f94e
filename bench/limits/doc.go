// Package limits measures what this machine can do at all, whatever the server:
// how many frames a second come back from the least that an answer can be, and
// how many bytes a second UDP carries when nothing is asked for and nothing
// acknowledged. A server's figure is to be read beside these.
//
// Everything happens in network namespaces of its own (bench/lab), a veth
// between them. The three echoes are flooded by live XDP frames (bench/xdp) of
// the length of a DISCOVER, and what comes back is counted by XDP:
//
//   - the bounce swaps the MAC addresses in XDP and returns XDP_TX;
//   - the AF_XDP echo does the same in Go, one socket and one thread a queue;
//   - the UDP echo sends back what it gets by recvmmsg and sendmmsg, one socket
//     and one thread a queue.
//
// The [Blast] sends bursts of TFTP-sized datagrams by UDP_SEGMENT to sockets
// that coalesce by UDP_GRO, round and round.
package limits
