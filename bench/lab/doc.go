// Package lab lays a small rack in network namespaces, with a plain DHCP
// server, an ISC relay, boot servers, simulated clients and real firmware in
// QEMU, and takes it away again. The end-to-end tests, the boot time
// measurement and the demo are built on it.
//
// Two topologies (Topology). Flat: everybody on one network.
//
//	QEMU tap ──┐   ┌──────────────┐   ┌── eth0 192.0.2.2   dnsmasq, plain DHCP
//	           ├───┤ br0 (access) ├───┤
//	client ────┘   └──────────────┘   └── eth0 192.0.2.10… boot servers
//
// Relayed: the clients' router is an IP helper, the servers are elsewhere.
//
//	QEMU tap ──┐   ┌──────────────┐    198.51.100.1 ┌────────┐ 203.0.113.1    ┌───────────────┐   ┌── eth0 203.0.113.2   dnsmasq
//	           ├───┤ br0 (access) ├── eth0 ─────────┤ router ├───────── eth1 ──┤ br0 (servers) ├───┤
//	client ────┘   └──────────────┘                 └────────┘  ISC dhcrelay  └───────────────┘   └── eth0 203.0.113.10… boot servers
//
// Every box is a network namespace of its own, every line a veth pair.
//
// A Lab owns its namespaces, processes, files and mounts, and Close removes
// them. Their names start with the lab's name, which holds the process id and
// start time of the owner: labs of several processes run side by side, and
// what a killed process left is found and removed by the next New. Processes
// of a lab die with their owner (PR_SET_PDEATHSIG).
//
// Nothing here sleeps to synchronise: processes are ready when they say so, in
// their log (Transcript.Wait) or to sd_notify, and every wait ends with its context.
//
// The lab needs root, and the tools that Missing names.
package lab
