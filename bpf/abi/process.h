/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What both sides know of a process: its identity, the value of the process table, credentials
 * and namespaces. See event.h for the rules of this folder.
 */
#ifndef TPY_ABI_PROCESS_H
#define TPY_ABI_PROCESS_H

#if defined(TPY_CDEF) /* read by cffi, which knows no assertions and has the integers already */
#define ABI_SIZE(type, size)
#else
#if !defined(__bpf__) /* the BPF programs have them from vmlinux.h */
#include <linux/types.h>
#endif
#define ABI_SIZE(type, size) _Static_assert(sizeof(type) == (size), "ABI: size of " #type)
#endif

#define PATH_MAX_BYTES 4096	 /* Linux' PATH_MAX; longer paths are cut and marked */
#define PATH_COMPONENTS_MAX 2048 /* as many as fit into PATH_MAX_BYTES: "/a/a/a..." */
#define TTY_MAX_BYTES 64	 /* tty_struct.name */
#define CGROUP_MAX_BYTES 4096
#define ARGUMENTS_MAX_BYTES 196608 /* default: longest single argument (128 KiB) and a half more */
#define ENVIRONMENT_MAX_BYTES 131072

/*
 * Names one image of one process: the start time changes at each fork and at each exec, so that
 * neither a second exec nor a reused pid is taken for the first.
 */
struct process_key {
	__u64 start_boottime_ns; /* of the fork or of the last exec */
	__u32 tgid;		 /* in the initial pid namespace; 0: unknown */
	__u32 _pad;
};
ABI_SIZE(struct process_key, 16);

/* What the policy set makes of a process, as numbers that its tables know (see policy.h). */
struct process_class {
	__u32 binary[4]; /* enum binary_class */
	__u64 followed;	 /* bit: a set of binaries or pids that it or an ancestor is in */
};
ABI_SIZE(struct process_class, 24);

/* Inode numbers of the namespaces' files, as in /proc/PID/ns; 0: this kernel has no such namespace. */
struct namespaces {
	__u32 uts;
	__u32 ipc;
	__u32 mnt;
	__u32 pid;
	__u32 pid_for_children;
	__u32 net;
	__u32 time;
	__u32 time_for_children;
	__u32 cgroup;
	__u32 user;
};
ABI_SIZE(struct namespaces, 40);

#define PROCESS_EXECED 0x1 /* has called exec since its fork */

/* Value of the map "processes"; its key is the tgid. */
struct process_entry {
	__u64 start_boottime_ns;
	struct process_key parent;
	__u64 execs; /* of its task, as the kernel counts them: which image has been told */
	__u32 flags; /* PROCESS_* */
	__u32 _pad;
	struct process_class classes[2]; /* of the generation with this lowest bit */
	__u64 capabilities[3];		 /* enum capability_set, as they were at the exec */
	struct namespaces namespaces;	 /* the same */
};
ABI_SIZE(struct process_entry, 152);

struct credentials {
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 suid;
	__u32 sgid;
	__u32 fsuid;
	__u32 fsgid;
	__u32 securebits;
	__u32 login_uid; /* 4294967295: not set */
	__u64 permitted; /* capability sets, bit n is capability n */
	__u64 effective;
	__u64 inheritable;
	__u64 ambient;
	__u64 bounding;
};
ABI_SIZE(struct credentials, 80);

#endif
