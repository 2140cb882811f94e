// Package gun is the DHCP load of xdpxe-bench: it sends DISCOVERs and boot
// server requests of many machines by a schedule, and matches, judges and times
// what comes back.
//
// # Requests and replies
//
// Requests have serial numbers. The xid is the serial number added to the gun's
// first xid, and its low bits name a place in a table of what is outstanding; so
// a reply finds its request by one look, and which machine made it follows from
// the number. Nothing is allocated for a packet.
//
// A request ends in exactly one of four ways, and sent = answered + wrong + late
// + lost, which Run counts twice, by events and by the table, and compares:
//
//	answered  by a valid reply within the limit (Load.Late)
//	late      by a valid reply after it
//	wrong     by replies none of which was valid
//	lost      by none
//
// Of replies there may be more: duplicates, replies to nothing that was ever
// asked, replies to requests of an earlier run.
//
// # Threads and time
//
// One thread for each port both sends and receives. Where the next request is
// due within spin it does not sleep, since a wake-up takes as long; else it waits
// in the port's Recv. Latency runs from just before a burst is handed to the
// kernel until Recv has returned with the reply.
//
// A gun behind its schedule goes on as fast as it can. How far it came, what its
// receivers lost and how busy it was decides whether an Outcome says that the
// server, or the gun, was the limit.
package gun
