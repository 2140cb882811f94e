// Package dhcpc is the client side of DHCP for simulated machines: who they are
// (Identity), what they send (Spec, laid out once as a Template), and whether
// what comes back is an answer that firmware would take (Judge).
//
// It does no I/O. Append, Frame and the judge do not allocate.
package dhcpc
