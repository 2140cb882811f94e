// Package netdev reads facts about network interfaces (addresses, queues,
// VLAN devices, bridge and bond membership), follows their changes, switches
// VLAN receive offloads and finds out which process holds a UDP port.
//
// Everything is read by rtnetlink and the ethtool ioctls, so it speaks of the
// network namespace of the calling thread; /sys/class/net, which shows the
// namespace of whoever mounted it, is a fallback only. Nothing is cached: each
// call reads anew.
package netdev
