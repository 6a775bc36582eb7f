/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every kernel field or helper that moved between the supported kernels (5.10 and newer): commit,
 * version, the flavours and one accessor. Nothing else of the kernel side knows versions.
 */
#ifndef TPY_COMPAT_BPF_H
#define TPY_COMPAT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/*
 * Since Linux commit 633488947ef6 ("kernfs: Use RCU to access kernfs_node::parent.") (v6.15), the
 * field is named "__parent". Before that, it is named "parent".
 */
struct kernfs_node___before_6_15 {
	struct kernfs_node___before_6_15 *parent;
} __attribute__((preserve_access_index));

struct kernfs_node___since_6_15 {
	struct kernfs_node___since_6_15 *__parent;
} __attribute__((preserve_access_index));

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___since_6_15 *after = (void *)node;
	struct kernfs_node___before_6_15 *before = (void *)node;

	if (bpf_core_field_exists(after->__parent))
		return (void *)BPF_CORE_READ(after, __parent);
	return (void *)BPF_CORE_READ(before, parent);
}

/*
 * Since Linux commit 769071ac9f20 ("ns: Introduce Time Namespace") (v5.6) the time namespaces
 * exist, if CONFIG_TIME_NS is set.
 */
static __always_inline __u32 time_namespace(struct nsproxy *proxy)
{
	if (!bpf_core_field_exists(proxy->time_ns))
		return 0;
	return BPF_CORE_READ(proxy, time_ns, ns.inum);
}

static __always_inline __u32 time_namespace_for_children(struct nsproxy *proxy)
{
	if (!bpf_core_field_exists(proxy->time_ns_for_children))
		return 0;
	return BPF_CORE_READ(proxy, time_ns_for_children, ns.inum);
}

/*
 * Since Linux commit f122a08b197d ("capability: just use a 'u64' instead of a 'u32[2]' array")
 * (v6.3) a kernel_cap_t is one u64 "val". Before that, it is "__u32 cap[2]", low word first: the
 * same 8 bytes on the little-endian architectures that are supported.
 */
static __always_inline __u64 capability_set(const void *set)
{
	__u64 bits = 0;

	bpf_probe_read_kernel(&bits, sizeof(bits), set);
	return bits;
}

/* The audit fields of a task exist only with CONFIG_AUDIT. */
#define LOGIN_UID_UNSET 4294967295U

static __always_inline __u32 login_uid(struct task_struct *task)
{
	if (!bpf_core_field_exists(task->loginuid))
		return LOGIN_UID_UNSET;
	return BPF_CORE_READ(task, loginuid.val);
}

#endif
