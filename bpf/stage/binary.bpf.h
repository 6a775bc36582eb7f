/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the policy set makes of a process: classes of its binary and of its parent's, and which sets
 * it or an ancestor is in. Kept in its entry of the process table, for both generations, so that a
 * hit reads one slot and looks nothing up.
 */
#ifndef TPY_BINARY_BPF_H
#define TPY_BINARY_BPF_H

#include "maps.bpf.h"
#include "tables.bpf.h"
#include "lib/path.bpf.h"
#include "lib/text.bpf.h"

/* Who was this image is the parent of the one to come. */
static __always_inline void replace_parent_classes(struct process_entry *entry)
{
	int half;

	for (half = 0; half < 2; half++) {
		struct process_class *class = &entry->classes[half];

		class->binary[BINARY_PARENT_BEGIN] = class->binary[BINARY_BEGIN];
		class->binary[BINARY_PARENT_END] = class->binary[BINARY_END];
	}
}

static __always_inline __u64 find_followed(__u32 table, __u32 pid)
{
	struct pid_key key = { .table = table, .pid = pid };
	__u64 *bits = bpf_map_lookup_elem(&followed_pids, &key);

	return bits ? *bits : 0;
}

/* The sets of pids (followForks) that a process is in, in one generation. */
static __always_inline __u64 followed_pid(__u32 half, __u32 tgid, __u32 namespace_pid)
{
	struct class_config *config = bpf_map_lookup_elem(&class_configs, &half);

	if (!config || !(config->flags & CLASS_HAS_PIDS))
		return 0;
	return find_followed(config->pid_table, tgid) |
	       find_followed(config->pid_table + 1, namespace_pid);
}

/* A child begins with its parent's image, and with its parent as the parent. */
static __always_inline void inherit_classes(struct process_entry *entry, __u32 tgid,
					    __u32 namespace_pid, __u32 parent_tgid)
{
	struct process_entry *parent = bpf_map_lookup_elem(&processes, &parent_tgid);

	if (parent) {
		__builtin_memcpy(entry->classes, parent->classes, sizeof(entry->classes));
		__builtin_memcpy(entry->capabilities, parent->capabilities,
				 sizeof(entry->capabilities));
		entry->namespaces = parent->namespaces;
	}
	replace_parent_classes(entry);
	entry->classes[0].followed |= followed_pid(0, tgid, namespace_pid);
	entry->classes[1].followed |= followed_pid(1, tgid, namespace_pid);
}

/* What the process may do and where it is, for filters on changes of these. */
static __always_inline void enter_rights(__u32 tgid, const struct credentials *credentials,
					 const struct namespaces *namespaces)
{
	struct process_entry *entry = bpf_map_lookup_elem(&processes, &tgid);

	if (!entry)
		return;
	entry->capabilities[CAPABILITIES_EFFECTIVE] = credentials->effective;
	entry->capabilities[CAPABILITIES_INHERITABLE] = credentials->inheritable;
	entry->capabilities[CAPABILITIES_PERMITTED] = credentials->permitted;
	entry->namespaces = *namespaces;
}

/* Which sets the binaries of a class are in. */
static __always_inline __u64 follow_bits(__u32 first_row, __u32 class)
{
	__u32 row = first_row + class;
	__u64 *bits = bpf_map_lookup_elem(&follow_rows, &row);

	return bits ? *bits : 0;
}

/* The classes of the path in "walk" in one generation. */
static __always_inline void fill_class(struct path_walk *walk, __u32 half,
				       struct process_class *class)
{
	struct class_config *config = bpf_map_lookup_elem(&class_configs, &half);
	__u64 length = path_length(walk), start = walk->start;

	class->binary[BINARY_BEGIN] = 0;
	class->binary[BINARY_END] = 0;
	if (!config || !(config->flags & CLASS_HAS_BINARIES))
		return;
	if (IS_OUTSIDE(start, 0, PATH_MAX_BYTES))
		return;
	class->binary[BINARY_BEGIN] = find_text(
		&walk->text[start], CLAMP_SIZE(length + 1, TEXT_KEY_BYTES), config->begin_table, 0);
	reverse_text(&walk->key, &walk->text[PATH_MAX_BYTES]);
	class->binary[BINARY_END] = find_text(walk->key.text, CLAMP_SIZE(length, TEXT_KEY_BYTES),
					      config->end_table, 0);
	class->followed |= follow_bits(config->begin_follow_rows, class->binary[BINARY_BEGIN]) |
			   follow_bits(config->end_follow_rows, class->binary[BINARY_END]);
}

/* Classify process "tgid" by the path that this CPU has just resolved. */
__noinline int classify_binary(__u32 tgid)
{
	struct process_entry *entry = bpf_map_lookup_elem(&processes, &tgid);
	struct path_walk *walk = path_walk_get();

	if (!entry || !walk)
		return 0;
	fill_class(walk, 0, &entry->classes[0]);
	fill_class(walk, 1, &entry->classes[1]);
	return 0;
}

#endif
