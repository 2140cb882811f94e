// Package storm boots whole machines through PXE servers, thousands at a time:
// DISCOVER, the offers of DHCP and boot servers, REQUEST and ACK, the request on
// 4011, the boot program by TFTP, and the files that it fetches then.
//
// A Profile is one kind of firmware, read from a YAML file (profiles/, or a
// user's directory): what it sends, its timers and tries, and the name of the
// way in which it chooses among offers (choices). What firmware accepts is
// judged by responder/dhcp/dhcptest, which follows the sources of edk2 and iPXE.
//
// A Machine is a state machine without I/O. Each event is a call with the time
// in a Step, and what the machine sends is in the Step afterwards: UDP
// datagrams. TFTP is bench/tftpc, the messages are bench/dhcpc.
//
// Run is the loop around all machines: one thread, a heap of timers, frames by
// bench/port. The machines' MAC and IP addresses exist nowhere else, so the loop
// answers ARP for them, asks for their next hops, and reads ICMP errors.
//
// A storm has no TCP: a machine that is told an http URL is done when it has an
// address and the URL. Boot menus are not played. Windows of TFTP are small and
// nothing is offloaded: for throughput there is bench/tftpload.
package storm
