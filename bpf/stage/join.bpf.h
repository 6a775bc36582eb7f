/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Entry and return of one call are one event: a hit that wants its return value is put aside under
 * its thread and hook, and completed at the return with the tables of its entry's generation.
 */
#ifndef TPY_JOIN_BPF_H
#define TPY_JOIN_BPF_H

#include "maps.bpf.h"
#include "hit.bpf.h"

#define NESTING_MAX 4 /* of calls of one function in one thread */

/* Whether a hit waits under this key; "is_long" says where. */
static __always_inline void *find_waiting(const struct wait_key *key, bool *is_long)
{
	void *found = bpf_map_lookup_elem(&short_waits, key);

	*is_long = !found;
	return found ? found : bpf_map_lookup_elem(&long_waits, key);
}

/* Put the hit aside until its function returns. Returns -1 if there is no room. */
static __always_inline int wait_for_return(struct hit *hit, __u32 hook)
{
	struct wait_key key = { .tid = bpf_get_current_pid_tgid(), .hook = hook };
	bool is_long;
	int depth;

	hit->event.entry_ns = bpf_ktime_get_boot_ns();
	for (depth = 0; depth < NESTING_MAX; depth++) {
		key.depth = depth;
		if (find_waiting(&key, &is_long))
			continue;
		if (!(hit->used <= SHORT_WAIT_BYTES ?
			      bpf_map_update_elem(&short_waits, &key, hit, BPF_NOEXIST) :
			      bpf_map_update_elem(&long_waits, &key, hit, BPF_NOEXIST)))
			return 0;
		break;
	}
	return -1;
}

/* Copy the innermost hit of this thread and hook that waits to "hit". Returns 0 if there is one. */
static __always_inline int take_waiting(struct hit *hit, struct wait_key *key)
{
	void *innermost = 0;
	bool is_long = false;
	int depth;

	for (depth = 0; depth < NESTING_MAX; depth++) {
		bool found_long;
		void *found;

		key->depth = depth;
		found = find_waiting(key, &found_long);
		if (!found)
			break;
		innermost = found;
		is_long = found_long;
	}
	if (!innermost)
		return -1;
	key->depth = depth - 1;
	if (is_long) {
		bpf_probe_read_kernel(hit, offsetof(struct hit, bytes) + ARGUMENTS_BYTES_MAX,
				      innermost);
		bpf_map_delete_elem(&long_waits, key);
	} else {
		bpf_probe_read_kernel(hit, offsetof(struct hit, bytes) + SHORT_WAIT_BYTES,
				      innermost);
		bpf_map_delete_elem(&short_waits, key);
	}
	return 0;
}

#endif
