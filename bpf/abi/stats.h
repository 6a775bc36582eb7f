/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Losses: what the kernel side wanted to tell and could not. Nothing is lost in silence.
 */
#ifndef TPY_ABI_STATS_H
#define TPY_ABI_STATS_H

#include "policy.h"

enum loss_cause {
	LOSS_RING_FULL = 0,	/* no room in the ring buffer */
	LOSS_TABLE_FULL = 1,	/* no room in the process table: no exit will be told */
	LOSS_NO_SCRATCH = 2,	/* no buffer to build the record in */
	LOSS_NOT_RUN = 3,	/* the hook was hit, its program not run (recursion_misses) */
	LOSS_VERDICTS_FULL = 4, /* no room in the ring buffer of verdicts */
	LOSS_CAUSE_COUNT = 5,
};

/*
 * The per-CPU array "stand_ins" has EVENT_TYPE_COUNT counters (__u64): records that the second copy
 * of a program told, because the kernel skipped the first.
 */

/* The per-CPU array "losses" has LOSS_CAUSE_COUNT * EVENT_TYPE_COUNT counters (__u64). */
#define LOSS_INDEX_COUNT 32

/* Key of the LRU hash "loss_sources": whose doing it was. Its value counts (__u64). */
struct loss_source {
	__u32 tgid; /* the process that forked or whose event it was */
	__u16 type; /* enum event_type */
	__u16 cause;
};
ABI_SIZE(struct loss_source, 8);

#endif
