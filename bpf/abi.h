/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the program and user space agree on: the only header that both sides
 * know. abi.go and reason.go say the same in Go; abi_test.go compares them
 * with the object's BTF, name by name and byte by byte.
 */
#ifndef XDPXE_ABI_H
#define XDPXE_ABI_H

#include "kernel.h"

/* The longest frame that is taken from the kernel: a full Ethernet frame with
 * two tags (14 + 8 + 1500), rounded up. UMEM frames and record buffers must
 * hold it. */
#define MAX_FRAME 1536
/* Options looked at in one message; pad and end do not count. */
#define MAX_OPTIONS 64
#define MAX_CLASSES 8
#define MAX_CLASS_LEN 32
#define MAX_ADDRS 4096
#define MAX_QUEUES 256
/* In addr_key.vid: any tags, or none. */
#define ANY_VID 0xffff

/* How a request reaches user space. */
enum deliver {
	DELIVER_NONE,       /* not at all: the kernel's stack has it */
	DELIVER_XSK,        /* redirected to the AF_XDP socket of its RX queue */
	DELIVER_RING_STEAL, /* copied into the ring buffer, then dropped */
	DELIVER_RING_TEE,   /* copied into the ring buffer, then passed */
};

/*
 * Why the program ended. Each run ends in exactly one reason, which is counted
 * in counters_map and decides the action (action_of in stats.h). Names are
 * metric labels in lower case; append, so that old counters keep their meaning.
 */
enum reason {
	/* Passed: nothing for us, or not sure enough. */
	REASON_HEARTBEAT_STALE, /* the daemon is dead, or never began */
	REASON_SHORT_FRAME,     /* ends inside a header, or the header is not in the first buffer */
	REASON_VLAN_DEPTH,      /* three tags or more */
	REASON_NOT_IPV4,
	REASON_NOT_UDP,
	REASON_IP_OPTIONS, /* UDP, but its IPv4 header is not 20 bytes long */
	REASON_FRAGMENT,
	REASON_OTHER_PORT,    /* not to 67 or 4011 */
	REASON_NOT_STEERED,   /* settings say DELIVER_NONE for this port */
	REASON_NOT_FOR_US,    /* neither broadcast nor to an address of ours */
	REASON_BAD_CHECKSUM,  /* of the IPv4 header */
	REASON_BAD_LENGTH,    /* frame, IPv4 and UDP disagree on the length */
	REASON_TOO_LONG,      /* more than MAX_FRAME, or headers split from data */
	REASON_SHORT_MESSAGE, /* less than a BOOTP header and the magic */
	REASON_NOT_REQUEST,   /* op is not BOOTREQUEST */
	REASON_BAD_MAGIC,
	REASON_MALFORMED,        /* an option runs over the end, or option 52 is none */
	REASON_TOO_MANY_OPTIONS, /* more than MAX_OPTIONS */
	REASON_NO_CLASS,         /* no vendor class (60) */
	REASON_OTHER_CLASS,      /* a vendor class that classes_map does not name */
	REASON_NO_SOCKET,        /* DELIVER_XSK, but none for this RX queue */
	REASON_RING_FULL,        /* DELIVER_RING_*, but no room */

	/* Delivered. */
	REASON_TEED,
	REASON_STOLEN,
	REASON_REDIRECTED,

	/* Dropped by the guard (guard.h), or only the copy withheld and the
	 * original passed, where it would have been teed. */
	REASON_GUARD_SOURCE,      /* this client asks too often */
	REASON_GUARD_REQUESTS,    /* more requests than user space is given */
	REASON_GUARD_BROADCASTS,  /* more than are answered to everybody */
	REASON_GUARD_STRAY,       /* to our socket on 4011, and no PXE request: more than it is given */
	REASON_GUARD_TFTP_SOURCE, /* this address asks the file server too often */
	REASON_GUARD_TFTP,        /* more requests than the file server is given */
	REASON_WITHHELD_SOURCE,
	REASON_WITHHELD_REQUESTS,
	REASON_WITHHELD_BROADCASTS,

	NUM_REASONS,
};

/* settings_map[0] */
struct settings {
	enum deliver deliver67;
	enum deliver deliver4011;
};

/*
 * addrs_map: where requests may be sent to besides the broadcast address.
 * vid holds the VLAN ids of the tags, outermost first. Priority tags (id 0)
 * are left out, as the kernel does; absent ones are 0.
 */
struct addr_key {
	__be32 ip;
	__u16 vid[2];
};

struct addr_value {
	__u8 mac[6]; /* the destination MAC that goes with it */
};

/*
 * classes_map: a vendor class must begin with one of these. prefix holds the
 * text as it stands on the wire, then zeros; mask has 0xff for each of its len
 * bytes, then zeros. The first entry of length 0 ends the list.
 */
struct class_entry {
	__u64 prefix[MAX_CLASS_LEN / 8];
	__u64 mask[MAX_CLASS_LEN / 8];
	__u64 len;
};

/* A token comes every cost ns, 0: no bound; a bucket is full after depth ns. */
struct limit {
	__u64 cost;
	__u64 depth;
};

/* An entry of buckets_map: a token bucket that all CPUs share. */
struct bucket {
	struct limit limit;
	__u64 empty; /* when it would have been empty, had it only been filled since; 0: it is full */
};

/* buckets_map. A budget has two: one for all, and one that only those who
 * asked before take from, first. */
enum budget {
	BUDGET_REQUESTS,
	BUDGET_REQUESTS_KNOWN,
	BUDGET_BROADCASTS,
	BUDGET_BROADCASTS_KNOWN,
	BUDGET_TFTP,
	BUDGET_TFTP_KNOWN,
	BUDGET_SAMPLES, /* of what is refused */

	NUM_BUDGETS,
};

/* guard_map[0]. Zero: the guard is off. */
struct guard {
	struct limit source;      /* of a DHCP client */
	struct limit tftp_source; /* of an address */
	__u64 seed;               /* of hashes, drawn when the maps are made */
	__u64 clock_add;          /* ns added to the clock: tests move it */
	__u32 on;
	__u32 filter_mask; /* entries of filter_map, a power of two, less one */
	__u16 tftp_port;   /* that the file server takes requests on, 0: none */
	__u16 tftp_single; /* its data come and go by that port too */
	__u32 strays;      /* what is passed to 4011 ends in our own socket */
};

enum source_kind {
	SOURCE_DHCP,
	SOURCE_TFTP,  /* of a file request */
	SOURCE_STRAY, /* of what is no PXE request, to 4011 */
};

/* Who asks: a key of sources_map. In words of 8 bytes, and without padding. */
struct source {
	enum source_kind kind;
	__be32 addr;     /* giaddr; else the source address */
	__u8 chaddr[16]; /* zeros but for SOURCE_DHCP */
} __attribute__((aligned(8)));

/*
 * filter_map is a Bloom filter in two generations that take turns every
 * FILTER_NS; their entries alternate. An identity has two bits in each word of
 * one entry. The upper 8 bits of a word are the number of the turn that it was
 * written in; one of an earlier turn is empty.
 */
#define FILTER_NS 6000000000ULL
#define FILTER_WORDS 4
#define FILTER_BITS 56

struct filter_entry {
	__u64 word[FILTER_WORDS];
};

/* A record of samples_map: one of those that the guard dropped. */
struct sample {
	__u64 ktime_ns; /* CLOCK_MONOTONIC, coarse */
	enum reason reason;
	__be32 src;
	__u8 mac[6];   /* the frame's source */
	__u16 known;   /* asked before */
	__u16 vid[2];  /* as in addr_key */
	__u32 ifindex; /* the device the program is attached to */
	struct source who;
};

/* Head of a record in requests_map; len bytes of frame follow, as received. */
struct request {
	__u64 ktime_ns; /* CLOCK_MONOTONIC */
	__u32 ifindex;  /* the device the program is attached to */
	__u32 len;
};

#endif
