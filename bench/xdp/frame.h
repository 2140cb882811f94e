/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Ethernet with at most two tags, IPv4 and UDP, as far as a generator reads them. */
#ifndef XDPXE_BENCH_FRAME_H
#define XDPXE_BENCH_FRAME_H

#include "kernel.h"

#include "headers/bpf_endian.h"
#include "headers/bpf_helpers.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_CTAG 0x8100 /* IEEE 802.1Q */
#define ETHERTYPE_STAG 0x88a8 /* IEEE 802.1ad */
#define IP_PROTO_UDP 17
#define PORT_DHCP_SERVER 67
#define PORT_DHCP_CLIENT 68
#define PORT_BINL 4011
#define BOOTREQUEST 1
#define BOOTREPLY 2

struct eth_hdr {
	__u8 dst[6];
	__u8 src[6];
	__be16 type;
};

struct vlan_hdr {
	__be16 tci;
	__be16 type;
};

/* Behind Ethernet, IPv4 stands at 2 modulo 4. */
struct ip_hdr {
	__u8 version_ihl;
	__u8 tos;
	__be16 len;
	__be16 id;
	__be16 frag_off;
	__u8 ttl;
	__u8 protocol;
	__be16 check;
	__be32 src;
	__be32 dst;
} __attribute__((packed, aligned(2)));

struct udp_hdr {
	__be16 src;
	__be16 dst;
	__be16 len;
	__be16 check;
} __attribute__((packed, aligned(2)));

/* RFC 2131 §2, and the magic of §3. */
struct bootp {
	__u8 op;
	__u8 htype;
	__u8 hlen;
	__u8 hops;
	__be32 xid;
	__be16 secs;
	__be16 flags;
	__be32 ciaddr;
	__be32 yiaddr;
	__be32 siaddr;
	__be32 giaddr;
	__u8 chaddr[16];
	__u8 sname[64];
	__u8 file[128];
	__u8 magic[4];
} __attribute__((packed, aligned(2)));

/* The UDP header of a frame, 0 if it is anything else. */
static __always_inline struct udp_hdr *find_udp(void *data, void *end)
{
	struct eth_hdr *eth = data;
	struct ip_hdr *ip;
	struct udp_hdr *udp;
	void *pos = eth + 1;
	__be16 type;

	if (pos > end)
		return 0;
	type = eth->type;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct vlan_hdr *tag = pos;

		if (type != bpf_htons(ETHERTYPE_CTAG) && type != bpf_htons(ETHERTYPE_STAG))
			break;
		if ((void *)(tag + 1) > end)
			return 0;
		type = tag->type;
		pos = tag + 1;
	}
	ip = pos;
	udp = (void *)(ip + 1);
	if (type != bpf_htons(ETHERTYPE_IPV4) || (void *)(udp + 1) > end || ip->version_ihl != 0x45 ||
	    ip->protocol != IP_PROTO_UDP)
		return 0;
	return udp;
}

#endif
