/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Ethernet, VLAN, IPv4 and UDP, read where they stand in the frame's first
 * buffer. Nothing is believed that user space (responder/packet) would refuse.
 */
#ifndef XDPXE_PARSE_H
#define XDPXE_PARSE_H

#include "headers/bpf_endian.h"
#include "kernel.h"
#include "stats.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_CTAG 0x8100 /* IEEE 802.1Q */
#define ETHERTYPE_STAG 0x88a8 /* IEEE 802.1ad */
#define VID_MASK 0x0fff
#define MAX_TAGS 2
#define IP_PROTO_UDP 17
#define IP_FRAGMENT 0x3fff /* MF and the offset; not DF */
#define PORT_DHCP 67
#define PORT_BINL 4011

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

/* A datagram; pointers into the frame's first buffer. */
struct datagram {
	__u64 now; /* CLOCK_MONOTONIC in ns, as of the last tick */
	struct eth_hdr *eth;
	struct ip_hdr *ip;
	struct udp_hdr *udp;
	__u16 vid[MAX_TAGS]; /* as in struct addr_key */
	__u16 port;          /* PORT_DHCP or PORT_BINL, if parse said GO_ON */
	__u32 ip_at;         /* where these stand in the frame */
	__u32 payload;
	__u32 end; /* of the payload */
	__u64 frame_len;
};

static __always_inline int is_vlan(__be16 type)
{
	return type == bpf_htons(ETHERTYPE_CTAG) || type == bpf_htons(ETHERTYPE_STAG);
}

/* Up to two tags. pos is behind the Ethernet header and ends behind the tags. */
static __always_inline enum reason parse_vlans(void **pos, void *end, __be16 *type, struct datagram *d)
{
#pragma unroll
	for (int i = 0; i < MAX_TAGS; i++) {
		struct vlan_hdr *tag = *pos;
		__u16 vid;

		if (!is_vlan(*type))
			return GO_ON;
		if ((void *)(tag + 1) > end)
			return REASON_SHORT_FRAME;
		vid = bpf_ntohs(tag->tci) & VID_MASK;
		/* Id 0 carries a priority only (IEEE 802.1Q §9.6). */
		if (d->vid[0])
			d->vid[1] = vid;
		else
			d->vid[0] = vid;
		*type = tag->type;
		*pos = tag + 1;
		d->ip_at += sizeof(*tag);
	}
	return is_vlan(*type) ? REASON_VLAN_DEPTH : GO_ON;
}

/* From the frame to a datagram for one of our ports; lengths and checksum are
 * left to check_datagram, which most traffic never sees. */
static __always_inline enum reason parse(struct xdp_md *ctx, struct datagram *d)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	void *pos = data;
	__be16 type;
	enum reason r;

	d->eth = pos;
	if ((void *)(d->eth + 1) > end)
		return REASON_SHORT_FRAME;
	type = d->eth->type;
	pos = d->eth + 1;
	d->ip_at = sizeof(struct eth_hdr);
	r = parse_vlans(&pos, end, &type, d);
	if (r != GO_ON)
		return r;
	if (type != bpf_htons(ETHERTYPE_IPV4))
		return REASON_NOT_IPV4;

	d->ip = pos;
	if ((void *)(d->ip + 1) > end)
		return REASON_SHORT_FRAME;
	if (d->ip->version_ihl >> 4 != 4)
		return REASON_NOT_IPV4;
	if (d->ip->protocol != IP_PROTO_UDP)
		return REASON_NOT_UDP;
	if (d->ip->version_ihl != 0x45)
		return REASON_IP_OPTIONS;
	if (d->ip->frag_off & bpf_htons(IP_FRAGMENT))
		return REASON_FRAGMENT;

	d->udp = (void *)(d->ip + 1);
	if ((void *)(d->udp + 1) > end)
		return REASON_SHORT_FRAME;
	d->port = bpf_ntohs(d->udp->dst);
	d->payload = d->ip_at + sizeof(struct ip_hdr) + sizeof(struct udp_hdr);
	return d->port == PORT_DHCP || d->port == PORT_BINL ? GO_ON : REASON_OTHER_PORT;
}

/* RFC 1071 over a header without options: 0xffff in any byte order if right. */
static __always_inline __u16 ip_sum(const struct ip_hdr *ip)
{
	const __u16 *half = (const void *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += half[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/*
 * Checksum and lengths, as responder/packet takes them: Ethernet padding may
 * follow IPv4, and IPv4 be longer than UDP. The UDP checksum is not looked at:
 * local senders on veth, tap and virtio leave it partial.
 */
static __always_inline enum reason check_datagram(struct xdp_md *ctx, struct datagram *d)
{
	__u32 ip_len = bpf_ntohs(d->ip->len);
	__u32 udp_len = bpf_ntohs(d->udp->len);

	if (ip_sum(d->ip) != 0xffff)
		return REASON_BAD_CHECKSUM;
	d->frame_len = bpf_xdp_get_buff_len(ctx);
	if (d->frame_len > MAX_FRAME)
		return REASON_TOO_LONG;
	if (udp_len < sizeof(struct udp_hdr) || sizeof(struct ip_hdr) + udp_len > ip_len ||
	    d->ip_at + ip_len > d->frame_len)
		return REASON_BAD_LENGTH;
	d->end = d->payload + udp_len - sizeof(struct udp_hdr);
	return GO_ON;
}

#endif
