/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a task is and may do: identity, credentials, namespaces. The task is a trusted BTF pointer
 * (tp_btf, iterators), whose members are read without helper calls; a NULL on the way reads as 0.
 */
#ifndef TPY_TASK_BPF_H
#define TPY_TASK_BPF_H

#include "vmlinux.h"
#include "abi/process.h"
#include "lib/compat.bpf.h"

#define PF_KTHREAD 0x00200000	 /* include/linux/sched.h */
#define PF_FORKNOEXEC 0x00000040 /* the same: forked, has not called exec */
#define SIGNAL_GROUP_EXIT 0x4	 /* include/linux/sched/signal.h */

/* The innermost pid namespace of a task, and its number there. */
struct pid_level {
	__u32 namespace;
	__u32 level; /* 0: the initial namespace */
	__u32 number;
};

static __always_inline void read_pid_level(struct task_struct *task, struct pid_level *out)
{
	/* Verifier: before 6.2 no variable offset may be added to a BTF pointer; this is a scalar */
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid *upid;

	out->level = BPF_CORE_READ(pid, level);
	upid = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
	       (__u64)out->level * bpf_core_type_size(struct upid);
	out->number = BPF_CORE_READ(upid, nr);
	out->namespace = BPF_CORE_READ(upid, ns, ns.inum);
}

static __always_inline __u32 nspid_of(const struct pid_level *pid)
{
	return pid->level ? pid->number : 0;
}

static __always_inline void read_namespaces(struct task_struct *task, const struct pid_level *pid,
					    struct namespaces *out)
{
	struct nsproxy *proxy = task->nsproxy;

	out->uts = proxy->uts_ns->ns.inum;
	out->ipc = proxy->ipc_ns->ns.inum;
	out->mnt = proxy->mnt_ns->ns.inum;
	out->pid = pid->namespace;
	out->pid_for_children = proxy->pid_ns_for_children->ns.inum;
	out->net = proxy->net_ns->ns.inum;
	out->time = time_namespace(proxy);
	out->time_for_children = time_namespace_for_children(proxy);
	out->cgroup = proxy->cgroup_ns->ns.inum;
	out->user = task->cred->user_ns->ns.inum;
}

static __always_inline void read_credentials(struct task_struct *task, struct credentials *out)
{
	const struct cred *cred = task->cred;

	out->uid = cred->uid.val;
	out->gid = cred->gid.val;
	out->euid = cred->euid.val;
	out->egid = cred->egid.val;
	out->suid = cred->suid.val;
	out->sgid = cred->sgid.val;
	out->fsuid = cred->fsuid.val;
	out->fsgid = cred->fsgid.val;
	out->securebits = cred->securebits;
	out->login_uid = login_uid(task);
	out->permitted = capability_set(&cred->cap_permitted);
	out->effective = capability_set(&cred->cap_effective);
	out->inheritable = capability_set(&cred->cap_inheritable);
	out->ambient = capability_set(&cred->cap_ambient);
	out->bounding = capability_set(&cred->cap_bset);
}

#endif
