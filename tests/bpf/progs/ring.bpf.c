// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Posts records to a ring as BPF_PROG_TEST_RUN asks for. The arguments of both programs: bytes of
 * the record, its type, CPU and number.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "abi/event.h"
#include "lib/bound.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define RECORD_MAX (2 << 20)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* bytes, set by the test */
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, RECORD_MAX);
} scratch SEC(".maps");

static __always_inline void fill(struct event_header *record, const __u64 *arguments)
{
	record->size = arguments[0];
	record->type = arguments[1];
	record->lane = LANE_POLICY;
	record->cpu = arguments[2];
	record->sequence = arguments[3];
	record->boottime_ns = 0;
}

/* Returns what bpf_ringbuf_output() does. */
SEC("raw_tp")
int post(const __u64 *arguments)
{
	__u32 zero = 0;
	struct event_header *record = bpf_map_lookup_elem(&scratch, &zero);

	if (!record)
		return -1;
	fill(record, arguments);
	return bpf_ringbuf_output(&records, record, CLAMP_SIZE(arguments[0], RECORD_MAX), 0);
}

/* Takes room for a record and gives it back. */
SEC("raw_tp")
int discard(const __u64 *arguments)
{
	struct event_header *record = bpf_ringbuf_reserve(&records, sizeof(*record), 0);

	if (!record)
		return -1;
	fill(record, arguments);
	bpf_ringbuf_discard(record, 0);
	return 0;
}
