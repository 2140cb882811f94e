// Package e2e tests xdpxe from outside: the real program in a rack of network
// namespaces (bench/lab) boots real firmware and simulated clients, beside an
// ordinary DHCP server and across an ISC relay. It needs root and what
// `make setup` installs, and skips with a reason where it cannot run.
//
// XDPXE_BINARY names the program to test instead of building it;
// XDPXE_E2E_RACE=1 builds it with the race detector, whose findings fail the
// test; that build keeps its privileges, since Go drops them only without cgo.
// -short leaves out real firmware.
package e2e
