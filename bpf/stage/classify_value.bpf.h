/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a dimension looks at: a part of a captured argument, or a property of the process.
 */
#ifndef TPY_VALUE_BPF_H
#define TPY_VALUE_BPF_H

#include "hit.bpf.h"
#include "maps.bpf.h"
#include "tables.bpf.h"
#include "lib/compat.bpf.h"
#include "lib/task.bpf.h"
#include <bpf/bpf_core_read.h>

#define AF_INET 2
#define AF_INET6 10

/*
 * Where in hit->bytes the dimension's part of its argument begins, and how many bytes there are
 * from there on. Returns -1 if the argument was not captured or could not be read.
 */
static __always_inline int find_value(struct hit *hit, const struct dimension *dimension, __u64 *at,
				      __u32 *length)
{
	__u64 start = hit->at[MASK_INDEX(dimension->slot, HOOK_ARGUMENTS_MAX)];
	struct argument_head *head;

	if (IS_OUTSIDE(start, sizeof(*head), ARGUMENTS_BYTES_MAX))
		return -1;
	head = (void *)&hit->bytes[start - sizeof(*head)];
	if (head->length < 0 || head->length < dimension->offset)
		return -1;
	*length = head->length - dimension->offset;
	start += dimension->offset;
	if (IS_OUTSIDE(start, sizeof(*head), ARGUMENTS_BYTES_MAX))
		return -1;
	*at = start;
	return 0;
}

enum cut {
	CUT_NOWHERE,
	CUT_FRONT, /* of a path */
	CUT_END,
};

/* Which end of a text is missing: what the text says there is not known. */
static __always_inline enum cut find_cut(struct hit *hit, const struct dimension *dimension)
{
	__u64 start = hit->at[MASK_INDEX(dimension->slot, HOOK_ARGUMENTS_MAX)];
	struct argument_head *head;

	if (IS_OUTSIDE(start, sizeof(*head), ARGUMENTS_BYTES_MAX))
		return CUT_NOWHERE;
	head = (void *)&hit->bytes[start - sizeof(*head)];
	if (!(head->flags & ARGUMENT_CUT))
		return CUT_NOWHERE;
	return head->type >= ARGUMENT_FILE && head->type <= ARGUMENT_LINUX_BINPRM ? CUT_FRONT :
										    CUT_END;
}

/* "width" bytes of "value", sign-extended if the dimension says so. */
static __always_inline __u64 cut_number(const struct dimension *dimension, __u64 value)
{
	__u32 unused = (8 - dimension->width) * 8 & 63;

	value <<= unused;
	if (dimension->flags & DIMENSION_SIGNED)
		return (__s64)value >> unused;
	return value >> unused;
}

static __always_inline int read_argument(struct hit *hit, const struct dimension *dimension,
					 __u64 *value)
{
	__u32 length;
	__u64 at;

	if (find_value(hit, dimension, &at, &length) || length < dimension->width)
		return -1;
	*value = cut_number(dimension, *(__u64 *)&hit->bytes[at]);
	return 0;
}

/* A set of capabilities of the current task. */
static __always_inline __u64 read_capabilities(const struct cred *cred, __u32 which)
{
	switch (which) {
	case CAPABILITIES_EFFECTIVE:
		return capability_set(&cred->cap_effective);
	case CAPABILITIES_INHERITABLE:
		return capability_set(&cred->cap_inheritable);
	default:
		return capability_set(&cred->cap_permitted);
	}
}

/* Capabilities that the current task has and its process had not at the last exec, or vice versa. */
static __always_inline int read_changed_capabilities(__u32 which, __u64 *value)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct process_entry *entry = bpf_map_lookup_elem(&processes, &tgid);

	if (!entry || which >= CAPABILITY_SET_COUNT)
		return -1;
	*value = entry->capabilities[which] ^ read_capabilities(BPF_CORE_READ(task, cred), which);
	return 0;
}

/* The inode number of a namespace; slots as in struct namespaces. */
__noinline int read_namespace(__u32 slot)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct nsproxy *proxy = BPF_CORE_READ(task, nsproxy);
	struct pid_level pid;

	switch (slot) {
	case offsetof(struct namespaces, uts) / 4:
		return BPF_CORE_READ(proxy, uts_ns, ns.inum);
	case offsetof(struct namespaces, ipc) / 4:
		return BPF_CORE_READ(proxy, ipc_ns, ns.inum);
	case offsetof(struct namespaces, mnt) / 4:
		return BPF_CORE_READ(proxy, mnt_ns, ns.inum);
	case offsetof(struct namespaces, pid) / 4:
		read_pid_level(task, &pid);
		return pid.namespace;
	case offsetof(struct namespaces, pid_for_children) / 4:
		return BPF_CORE_READ(proxy, pid_ns_for_children, ns.inum);
	case offsetof(struct namespaces, net) / 4:
		return BPF_CORE_READ(proxy, net_ns, ns.inum);
	case offsetof(struct namespaces, time) / 4:
		return time_namespace(proxy);
	case offsetof(struct namespaces, time_for_children) / 4:
		return time_namespace_for_children(proxy);
	case offsetof(struct namespaces, cgroup) / 4:
		return BPF_CORE_READ(proxy, cgroup_ns, ns.inum);
	default:
		return BPF_CORE_READ(task, cred, user_ns, ns.inum);
	}
}

static __always_inline __u64 read_namespace_pid(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct pid_level pid;

	read_pid_level(BPF_CORE_READ(task, group_leader), &pid);
	return pid.number;
}

/* Bit n: namespace n (struct namespaces) is another than at the last exec. Returns -1: not known. */
__noinline int changed_namespaces(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, slot;
	struct process_entry *entry = bpf_map_lookup_elem(&processes, &tgid);
	int changed = 0;

	if (!entry)
		return -1;
	for (slot = 0; slot < sizeof(entry->namespaces) / sizeof(__u32); slot++)
		if (((__u32 *)&entry->namespaces)[slot] != (__u32)read_namespace(slot))
			changed |= 1 << slot;
	return changed;
}

/* Who left a verdict for the current thread; 0: nobody. */
static __always_inline __u32 noted_enforcer(void)
{
	__u32 thread = bpf_get_current_pid_tgid();
	struct enforcer_verdict *found = bpf_map_lookup_elem(&verdict_notes, &thread);

	return found ? found->enforcer : 0;
}

/* The number that the dimension classifies. Returns -1 if it cannot be read. */
static __always_inline int read_number(struct hit *hit, const struct dimension *dimension,
				       __u64 *value)
{
	struct task_struct *task;
	bool is_unknown = hit->event.flags & HOOK_PROCESS_UNKNOWN;
	__u64 before = 0;
	int changed;

	switch (dimension->source) {
	case SOURCE_ARGUMENT:
		return read_argument(hit, dimension, value);
	case SOURCE_CAPABILITIES_GAINED: {
		struct dimension other = { .slot = dimension->width, .width = 8 };
		struct dimension whole = { .slot = dimension->slot, .width = 8 };

		if (read_argument(hit, &whole, value) || read_argument(hit, &other, &before))
			return -1;
		*value &= ~before;
		return 0;
	}
	case SOURCE_RETURN:
		*value = cut_number(dimension, hit->result);
		return 0;
	case SOURCE_PID:
		*value = bpf_get_current_pid_tgid() >> 32;
		return 0;
	case SOURCE_NAMESPACE_PID:
		*value = read_namespace_pid();
		return 0;
	case SOURCE_BINARY:
		if (dimension->slot <= BINARY_END && is_unknown)
			return -1;
		*value = hit->class.binary[MASK_INDEX(dimension->slot, BINARY_CLASS_COUNT)];
		return 0;
	case SOURCE_FOLLOWED:
		if (is_unknown)
			return -1;
		*value = hit->class.followed;
		return 0;
	case SOURCE_NAMESPACE:
		*value = (__u32)read_namespace(dimension->slot);
		return 0;
	case SOURCE_CAPABILITIES:
		task = (void *)bpf_get_current_task();
		*value = read_capabilities(BPF_CORE_READ(task, cred), dimension->slot);
		return 0;
	case SOURCE_CAPABILITIES_CHANGED:
		return read_changed_capabilities(dimension->slot, value);
	case SOURCE_ENFORCER:
		*value = noted_enforcer();
		return 0;
	case SOURCE_NAMESPACES_CHANGED:
		changed = changed_namespaces();
		*value = changed;
		return changed < 0 ? -1 : 0;
	}
	return -1;
}

#endif
