/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Room for the argument that is being captured. Whoever captures gets "at", where its head is in
 * hit->bytes, and finds the place for its bytes there.
 */
#ifndef TPY_CAPTURE_ROOM_BPF_H
#define TPY_CAPTURE_ROOM_BPF_H

#include "hit.bpf.h"
#include "lib/bound.bpf.h"

/* The last place where a head may begin: behind it nothing but a failed argument had room. */
#define HEAD_LAST (ARGUMENTS_BYTES_MAX - 2 * sizeof(struct argument_head))

/* The longest argument: a struct and a text. */
#define PAYLOAD_MAX (sizeof(struct credentials) + ARGUMENT_TEXT_MAX)

/* Verifier: a mask, because each bound that is a branch doubles what is to be checked after it. */
static __always_inline struct argument_head *head_at(struct hit *hit, __u32 at)
{
	return (void *)&hit->bytes[MASK_INDEX(at, ARGUMENTS_BYTES_MAX)];
}

static __always_inline void *payload_at(struct hit *hit, __u32 at)
{
	return head_at(hit, at) + 1;
}

/* "size" bytes from the kernel or from the current process. Returns 0 if they could be read. */
#define READ_MEMORY(out, size, address, is_user)                                                   \
	((is_user) ? bpf_probe_read_user(out, size, (void *)(address)) :                           \
		     bpf_probe_read_kernel(out, size, (void *)(address)))

/* A string and its NUL in up to "room" bytes. Returns its length, or less than 0. */
static __always_inline long read_string(void *out, __u64 room, __u64 address, bool is_user)
{
	long length;

	if (is_user)
		length = bpf_probe_read_user_str(out, room, (void *)address);
	else
		length = bpf_probe_read_kernel_str(out, room, (void *)address);
	/* the NUL counts, but not that of an empty string of a process on 5.10 */
	return length > 0 ? length - 1 : length;
}

#endif
