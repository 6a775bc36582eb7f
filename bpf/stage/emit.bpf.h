/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A record to its lane, or the loss of it counted: nothing that was wanted is lost in silence.
 */
#ifndef TPY_EMIT_BPF_H
#define TPY_EMIT_BPF_H

#include "maps.bpf.h"

#define LOSS_INDEX(cause, type) ((cause) * EVENT_TYPE_COUNT + (type))
_Static_assert(LOSS_CAUSE_COUNT *EVENT_TYPE_COUNT <= LOSS_INDEX_COUNT, "enlarge LOSS_INDEX_COUNT");

/* Count one lost record of "type"; "tgid" is whose doing it was. */
static __always_inline void count_loss(__u32 cause, __u32 type, __u32 tgid)
{
	struct loss_source source = { .tgid = tgid, .type = type, .cause = cause };
	__u32 index = LOSS_INDEX(cause, type);
	__u64 one = 1, *count;

	count = bpf_map_lookup_elem(&losses, &index);
	if (count)
		__sync_fetch_and_add(count, 1); /* another program may preempt this one */
	count = bpf_map_lookup_elem(&loss_sources, &source);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&loss_sources, &source, &one, BPF_ANY);
}

/*
 * Fill the header of a record. Its number is taken here, so a loss after it leaves a gap; where
 * programs can preempt each other it may come twice, as atomics that return need 5.12.
 */
static __always_inline void begin_record(struct event_header *header, __u32 lane, __u32 type,
					 __u64 boottime_ns)
{
	__u64 *sequence = bpf_map_lookup_elem(&sequences, &lane);

	header->type = type;
	header->lane = lane;
	header->cpu = bpf_get_smp_processor_id();
	header->sequence = sequence ? ++*sequence : 0;
	header->boottime_ns = boottime_ns;
}

/*
 * Post "size" bytes (a multiple of 8) to the ring of the record's lane, or count the loss. Returns
 * 0 if it was posted.
 */
static __always_inline long post_record(void *ring, struct event_header *header, __u64 size,
					__u32 tgid)
{
	long error;

	header->size = size;
	error = bpf_ringbuf_output(ring, header, size, 0);
	if (error)
		count_loss(header->lane == LANE_VERDICT ? LOSS_VERDICTS_FULL : LOSS_RING_FULL,
			   header->type, tgid);
	return error;
}

#endif
