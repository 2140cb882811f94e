// Package xdp holds the XDP programs of the load generator. Of all packages of
// bench it alone knows BPF.
package xdp
