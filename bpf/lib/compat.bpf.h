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
static __always_inline long read_capability_set(const void *set, __u64 *out)
{
	return bpf_probe_read_kernel(out, sizeof(*out), set);
}

static __always_inline __u64 capability_set(const void *set)
{
	__u64 bits = 0;

	read_capability_set(set, &bits);
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

/*
 * What an iov_iter walks over. Since Linux commit 8cd54c1c8480 ("iov_iter: separate direction from
 * flavour") (v5.14) the kind is in "iter_type", and its numbers are others in several versions.
 * Before that, it is in "type", whose lowest bit is the direction.
 *
 * Since Linux commit fcb14cb1bdac ("new iov_iter flavour - ITER_UBUF") (v6.0) a single buffer needs
 * no vector.
 */
struct iov_iter___before_5_14 {
	unsigned int type;
} __attribute__((preserve_access_index));

enum iov_iter_kind {
	IOV_ITER_OTHER,
	IOV_ITER_UBUF,
	IOV_ITER_IOVEC,
	IOV_ITER_KVEC,
};

static __always_inline enum iov_iter_kind iov_iter_kind(const struct iov_iter *iter)
{
	struct iov_iter___before_5_14 *before = (void *)iter;
	__u32 type;

	if (bpf_core_field_exists(iter->iter_type))
		type = BPF_CORE_READ(iter, iter_type);
	else
		type = BPF_CORE_READ(before, type) & ~1U;
	if (type == bpf_core_enum_value(enum iter_type, ITER_IOVEC))
		return IOV_ITER_IOVEC;
	if (type == bpf_core_enum_value(enum iter_type, ITER_KVEC))
		return IOV_ITER_KVEC;
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	    type == bpf_core_enum_value(enum iter_type, ITER_UBUF))
		return IOV_ITER_UBUF;
	return IOV_ITER_OTHER;
}

/* The buffer of IOV_ITER_UBUF. */
static __always_inline __u64 iov_iter_buffer(const struct iov_iter *iter)
{
	return bpf_core_field_exists(iter->ubuf) ? (__u64)BPF_CORE_READ(iter, ubuf) : 0;
}

/*
 * Since Linux commit de4f5fed3f23 ("iov_iter: add iter_iovec() helper") (v6.4) the vectors are
 * "__iov". Before that, they are "iov".
 */
struct iov_iter___before_6_4 {
	const struct iovec *iov;
} __attribute__((preserve_access_index));

static __always_inline const struct iovec *iov_iter_vectors(const struct iov_iter *iter)
{
	struct iov_iter___before_6_4 *before = (void *)iter;

	if (bpf_core_field_exists(iter->__iov))
		return BPF_CORE_READ(iter, __iov);
	return BPF_CORE_READ(before, iov);
}

/*
 * What IPsec did to a packet, if CONFIG_XFRM is set. The lengths are int; in 7.2 they are u8.
 */
static __always_inline void read_security_path(const struct sk_buff *skb, __u16 *length,
					       __u16 *original_length)
{
	struct skb_ext *extensions;
	struct sec_path *path;
	__u32 number, value = 0;
	__u8 offset = 0; /* in units of 8 bytes */

	if (!bpf_core_enum_value_exists(enum skb_ext_id, SKB_EXT_SEC_PATH))
		return;
	number = bpf_core_enum_value(enum skb_ext_id, SKB_EXT_SEC_PATH);
	if (!(BPF_CORE_READ(skb, active_extensions) & 1 << number))
		return;
	extensions = BPF_CORE_READ(skb, extensions);
	bpf_core_read(&offset, sizeof(offset), &extensions->offset[number]);
	path = (void *)extensions + 8 * offset;
	bpf_core_read(&value, bpf_core_field_size(path->len), &path->len);
	*length = value;
	value = 0;
	bpf_core_read(&value, bpf_core_field_size(path->olen), &path->olen);
	*original_length = value;
}

/* Modules, and the signatures of modules, are options of the kernel's configuration. */
static __always_inline bool has_modules(void)
{
	return bpf_core_type_exists(struct load_info);
}

static __always_inline bool module_signature_ok(const struct module *module)
{
	return bpf_core_field_exists(module->sig_ok) && BPF_CORE_READ(module, sig_ok);
}

static __always_inline bool load_info_signature_ok(const struct load_info *info)
{
	return bpf_core_field_exists(info->sig_ok) && BPF_CORE_READ(info, sig_ok);
}

#endif
