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

/* Templates: the longest message, request or reply, that tier 0 looks at; in
 * 64-bit words; masks tried for one length; pieces of a request that a reply
 * repeats; networks of a template for 4011; what outcomes_map counts. */
#define MAX_MESSAGE 590
#define MESSAGE_WORDS 74
#define MAX_LAYOUTS_OF_LENGTH 4
#define MAX_ECHOES 4
#define MAX_NETWORKS 4
#define MAX_OUTCOMES 128
/* In outcomes_map: events that were not written. */
#define OUTCOME_EVENTS_DROPPED MAX_OUTCOMES
/* Default numbers of slots; the loader may change them. */
#define NUM_LAYOUTS 256
#define NUM_PATTERNS 4096
#define NUM_EXACT 65536
#define NUM_REPLIES 1024
/* Bytes of a reply's head: IPv4, UDP, and BOOTP up to chaddr. */
#define REPLY_HEAD 72
#define REPLY_REST (MESSAGE_WORDS * 8 - 44)

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

	/* Decided by a template. */
	REASON_ANSWERED,     /* the frame is the reply now, and goes back */
	REASON_IGNORED,      /* no answer is the answer: dropped */
	REASON_IGNORED_TEED, /* the same where others must see the request: passed */
	REASON_BROKEN,       /* the reply could not be written to its end: aborted */

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
	/* May templates answer there? (They may ignore in any case.) */
	__u32 answer67;
	__u32 answer4011;
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

/*
 * Tier 0. A template is a request pattern and what to do with a request that
 * fits it. All bytes of the DHCP message count but those that its layout, a
 * mask, leaves out; and port, length, VLAN ids and destination address. The
 * program looks for it so:
 *
 *   lengths_map   port and length -> layouts
 *   layouts_map   -> mask and hash keys: hash of what can differ
 *   index_map     hash -> slot of patterns_map
 *   patterns_map  compared in full -> verdict, or that it depends on who asks
 *   exact_map     pattern and identity -> verdict
 *   replies_map   what the verdict says
 *
 * generation_map holds the number that patterns and exact entries must carry.
 * While it is 0 the program touches no other of these maps; that is how the
 * loader changes what is in use: 0, a grace period, changes, a new number.
 * Slots are written once, before index_map names them.
 */

/* lengths_map, by length, and MAX_MESSAGE + 1 more for port 4011: slots of
 * layouts_map plus 1. The first 0 ends the list. */
struct length {
	__u16 layout[MAX_LAYOUTS_OF_LENGTH];
};

/* layouts_map: 0xff in mask for each byte that counts. The last two keys are
 * for what stands beside the message. Zeros behind the message. */
struct layout {
	__u64 mask[MESSAGE_WORDS];
	__u64 key[MESSAGE_WORDS + 2];
};

struct verdict {
	__u32 tag;     /* of the publisher: events name it */
	__u16 outcome; /* index of outcomes_map */
	__u16 reply;   /* slot of replies_map plus 1; 0: silence */
};

struct network {
	__be32 addr; /* 255.255.255.255 with mask 0: no network */
	__be32 mask;
};

/* patterns_map */
struct pattern {
	__u64 generation;
	__u64 message[MESSAGE_WORDS]; /* under the layout's mask */
	__be32 dst;
	__u16 vid[2]; /* as in struct addr_key */
	__u16 port;
	__u16 len;     /* of the message */
	__u16 layout;  /* slot of layouts_map */
	__u16 uuid_at; /* where 16 bytes of UUID stand in the message; 0: nowhere */
	struct verdict verdict;
	__u32 exact;                          /* the verdict is in exact_map */
	__be32 own;                           /* 4011, not exact: an address that is no client's */
	struct network network[MAX_NETWORKS]; /* 4011, not exact: where clients are */
};

/* exact_map: who asks. src and ciaddr are 0 but on 4011. */
struct exact_key {
	__u32 pattern; /* slot of patterns_map */
	__u8 chaddr[16];
	__u8 uuid[16];
	__be32 src;
	__be32 ciaddr;
};

struct exact_value {
	__u64 generation;
	struct verdict verdict;
};

struct echo {
	__u16 from; /* in the request's message */
	__u16 to;   /* in the reply's */
	__u16 len;  /* 0 ends the list */
	__u16 pad;
};

/*
 * replies_map: a reply without what is the client's own, with zeros in its
 * place: xid, chaddr, echoes; IPv4 identification and checksums; ciaddr and
 * the destination where to_source says so. Sums are of 16-bit words in native
 * order (RFC 1071), folded; udp_sum has the pseudo header.
 */
struct reply {
	__u64 head[REPLY_HEAD / 8];
	__u64 rest[REPLY_REST / 8 + 1];
	__u16 ip_sum;
	__u16 udp_sum;
	__u16 len; /* of the message */
	__u8 src_mac[6];
	__u16 broadcast; /* to ff:ff:ff:ff:ff:ff, else to the frame's source */
	__u16 to_source; /* 4011: to address and port of the source, with its ciaddr */
	struct echo echo[MAX_ECHOES];
};

/* A record of events_map: what a template did. */
struct event {
	__u64 ktime_ns; /* CLOCK_MONOTONIC, as of the last tick */
	__u32 tag;
	__be32 xid;
	__be32 src;
	__be32 relay;
	__u16 vid[2];
	__u16 src_port;
	__u8 hlen;
	__u8 has_uuid;
	__u8 chaddr[16];
	__u8 uuid[16];
};

#endif
