/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the programs and Go agree on: the only header that both sides know.
 * abi.go says the same in Go; abi_test.go compares them by the object's BTF.
 */
#ifndef XDPXE_BENCH_ABI_H
#define XDPXE_BENCH_ABI_H

#include "kernel.h"

/* The longest frame that is sent: a full Ethernet frame with two tags (14 + 8
 * + 1500), rounded up. Replies may be longer; only their head is looked at. */
#define MAX_FRAME 1536
#define FRAME_MASK 2047 /* an offset in one, for the verifier */
/* Places in a request that hold the hardware address: Ethernet's source,
 * chaddr, the client identifier (61). */
#define MAX_MACS 4
/* A sender takes this many serial numbers at once: a power of two. */
#define SERIALS 64
/* Histogram: values below 2^SUB_BITS ns have a bucket each, all above have
 * 2^SUB_BITS for each power of two, up to 2^36 ns (69 s). */
#define SUB_BITS 5
#define NUM_BUCKETS 1024

/* settings_map[0] */
struct settings {
	__u64 patience;    /* ns after which an answer is late */
	__u32 first_xid;   /* xid = first_xid + serial number */
	__u32 slots;       /* of slots_map: a power of two */
	__u32 identities;  /* of identities_map */
	__u32 sample_mask; /* one of mask + 1 good replies goes to user space */
	__u32 bounced;     /* the answer to a request is the request itself */
	__u32 pad;
	/* Of a sender that keeps a rate; it is the only one then. */
	__u64 rate;  /* requests a second; 0: as fast as it goes */
	__u64 total; /* of requests */
	__u64 until; /* ns after its first frame: it sends nothing more */
};

/* pace_map[0]: what a sender that keeps a rate has done. User space clears it. */
struct pace {
	__u64 begun;  /* CLOCK_MONOTONIC ns of the first frame that it was given, and */
	__u64 last;   /* of the last */
	__u64 frames; /* that it was given */
	__u64 sent;   /* of them */
	__u64 ended;  /* CLOCK_MONOTONIC ns of the last that it sent */
};

/* template_map[0]: what a live frame is written from. Its UDP checksum is 0,
 * for none (RFC 768), so that no field of it needs another. */
struct template
{
	__u32 len;
	__u16 xid_at;           /* offset in the frame */
	__u16 mac_at[MAX_MACS]; /* 0: no more of them */
	__u16 uuid_at;          /* 0: none */
	__u8 ether_src;         /* whether Ethernet's source is the client, too */
	__u8 pad[3];
	__u8 frame[FRAME_MASK + 1 + 16]; /* from any offset on there is room for a field */
};

/* identities_map: the simulated machines. */
struct identity {
	__u8 mac[6];
	__u8 pad[2];
	__u8 uuid[16];
};

/* slots_map, by serial number modulo its size: the request that has it now. */
struct slot {
	__u64 sent; /* CLOCK_MONOTONIC ns */
	__u32 xid;
	__u32 state; /* enum state */
};

enum state {
	STATE_UNUSED,
	STATE_OUTSTANDING,
	STATE_WRONG, /* had replies, and none of them was good */
	STATE_ANSWERED,
};

/* counters_map. Every reply ends in one of answered to malformed; every request
 * in answered, late or wrong, or is lost. */
enum counter {
	COUNTER_SENT,         /* requests handed to the device */
	COUNTER_ANSWERED,     /* first good reply, in time */
	COUNTER_LATE,         /* first good reply, after the patience */
	COUNTER_DUPLICATE,    /* a good reply to a request that had one */
	COUNTER_STALE,        /* for a request so old that its slot has another */
	COUNTER_UNKNOWN,      /* for a transaction that was never begun */
	COUNTER_WRONG_OP,     /* to the client's port, and no BOOTREPLY */
	COUNTER_WRONG_CHADDR, /* not the machine that asked */
	COUNTER_WRONG_YIADDR, /* offers an address: a lease is nothing that was asked for */
	COUNTER_MALFORMED,    /* ends before the options, or without the DHCP magic */
	COUNTER_WRONG,        /* requests in STATE_WRONG */
	COUNTER_UNSAMPLED,    /* meant for user space, which was behind */
	COUNTER_FRAMES,       /* UDP datagrams that the sink took */
	COUNTER_BYTES,        /* of their frames */
	NUM_COUNTERS,
};

/* Random numbers of a flood's frame, and in how many places each can stand. */
#define FLOOD_WORDS 8
#define FLOOD_PLACES 4

/* Four bytes: base, and of a random number what mask lets through. at 0: none. */
struct place {
	__u32 at; /* in the frame */
	__be32 mask;
	__be32 base;
};

/* flood_map[0] */
struct flood {
	__u32 len;
	__u32 ip_at; /* of the IPv4 header, if its checksum is to be made; 0: no */
	struct place place[FLOOD_WORDS][FLOOD_PLACES];
	__u8 frame[FRAME_MASK + 1 + 16];
};

/* Head of a record in samples_map; len bytes of frame follow. */
struct sample {
	__u32 verdict; /* enum counter */
	__u32 len;
	__u32 serial; /* of the request, where the verdict is on one */
	__u32 pad;
};

#endif
