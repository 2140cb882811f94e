// Package dhcptest plays the clients of a boot server, for tests and for the
// lab: it makes the requests that real firmware makes, and judges replies as
// that firmware does.
//
// The judges follow the sources of edk2 (NetworkPkg), iPXE and ISC dhcrelay;
// they share no code with the packages that they judge. Nothing here does I/O.
package dhcptest
