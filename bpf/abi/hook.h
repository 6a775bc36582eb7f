/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The record of one hit of a hook that policies wanted: who, which policies, what was captured.
 *
 * event_hook, then "arguments" times a captured argument: its argument_head, "length" bytes (the
 * structs below, text), one NUL byte, any bytes up to a multiple of 8; then "matches" times
 * hook_match. The record says how to read each argument; names and labels are in user space,
 * under the numbers of the hook and of the policy, which are never used again for another.
 */
#ifndef TPY_ABI_HOOK_H
#define TPY_ABI_HOOK_H

#include "event.h"

#define HOOK_MATCHES_MAX 64	  /* policies in one record; further ones come in a second */
#define HOOK_ARGUMENTS_MAX 16	  /* different arguments that the policies of one hook ask for */
#define ARGUMENT_TEXT_MAX 4096	  /* bytes of a string, buffer or path */
#define ARGUMENTS_BYTES_MAX 16384 /* of all arguments of one record */

/* How an argument's bytes are read. The names are those of TracingPolicy's types. */
enum argument_type {
	ARGUMENT_NONE = 0,
	/* __u64; signed types are sign-extended */
	ARGUMENT_INT32 = 1,
	ARGUMENT_INT16 = 2,
	ARGUMENT_INT8 = 3,
	ARGUMENT_UINT32 = 4,
	ARGUMENT_UINT16 = 5,
	ARGUMENT_UINT8 = 6,
	ARGUMENT_INT64 = 7,
	ARGUMENT_UINT64 = 8,
	ARGUMENT_SYSCALL64 = 9, /* bit 31: of the 32-bit table */
	ARGUMENT_CAPABILITY = 10,
	ARGUMENT_KERNEL_CAP = 11, /* the four sets of capabilities: bit n is capability n */
	ARGUMENT_CAP_INHERITABLE = 12,
	ARGUMENT_CAP_PERMITTED = 13,
	ARGUMENT_CAP_EFFECTIVE = 14,
	ARGUMENT_BPF_CMD = 15,
	/* text, without the NUL */
	ARGUMENT_STRING = 16,
	ARGUMENT_NET_DEVICE = 17,
	/* struct argument_buffer, bytes */
	ARGUMENT_CHAR_BUF = 18,
	ARGUMENT_CONST_BUF = 19, /* of __u64 */
	/* struct argument_path, text */
	ARGUMENT_FILE = 20, /* also of a descriptor or a struct kiocb */
	ARGUMENT_PATH = 21,
	ARGUMENT_DENTRY = 22,
	ARGUMENT_LINUX_BINPRM = 23,
	/* struct argument_sock */
	ARGUMENT_SOCK = 24,
	ARGUMENT_SKB = 25,
	ARGUMENT_SOCKADDR = 26,
	/* struct argument_sock, text: abstract names begin with a NUL */
	ARGUMENT_SOCKADDR_UN = 27,
	ARGUMENT_CRED = 28,	      /* struct credentials, struct argument_user_namespace */
	ARGUMENT_USER_NAMESPACE = 29, /* struct argument_user_namespace */
	ARGUMENT_MODULE = 30,	      /* struct argument_module, text: the name */
	ARGUMENT_LOAD_INFO = 31,      /* the same */
	ARGUMENT_BPF_ATTR = 32,	      /* struct argument_bpf, text: the name */
	ARGUMENT_BPF_PROG = 33,	      /* the same */
	ARGUMENT_BPF_MAP = 34,	      /* the same */
	ARGUMENT_PERF_EVENT = 35,     /* struct argument_perf_event, text: the function */
	ARGUMENT_NOP = 36,	      /* nothing */
	ARGUMENT_TYPE_COUNT = 37,
};

/* Bits of argument_head.flags */
#define ARGUMENT_CUT 0x1 /* there was more than could be captured */

/* Before each argument. Negative length: the -errno of reading it, and no bytes follow. */
struct argument_head {
	__u8 slot; /* position among the arguments of the hook */
	__u8 type; /* enum argument_type */
	__u8 flags;
	__u8 depth; /* at which step of "resolve" reading failed, from 1; 0: the value itself */
	__s32 length;
};
ABI_SIZE(struct argument_head, 8);

struct argument_buffer {
	__u64 bytes; /* that the caller named; more than follow if it was cut */
};
ABI_SIZE(struct argument_buffer, 8);

struct argument_path {
	__u64 inode;
	__u32 device;	  /* major << 20 | minor */
	__u32 mode;	  /* type and permissions */
	__u32 open_flags; /* of a struct file: O_* */
	__u32 flags;	  /* PATH_* */
};
ABI_SIZE(struct argument_path, 24);

struct argument_sock {
	__u64 cookie;
	__u16 family;
	__u16 protocol;
	__u16 type;
	__u16 state;
	__u16 source_port; /* in host order, as are all numbers */
	__u16 destination_port;
	__u32 mark;
	__u32 priority;
	__u32 hash;   /* skb only, as the next three */
	__u32 length; /* of the packet */
	__u16 security_path_length;
	__u16 security_path_original_length;
	__u8 source_address[16]; /* the first 4 bytes for AF_INET */
	__u8 destination_address[16];
};
ABI_SIZE(struct argument_sock, 72);

struct argument_user_namespace {
	__s32 level;
	__u32 uid;
	__u32 gid;
	__u32 inum;
};
ABI_SIZE(struct argument_user_namespace, 16);

struct argument_module {
	__u64 taints;
	__u32 signature_ok;
	__u32 _pad;
};
ABI_SIZE(struct argument_module, 16);

/* Of a program: its type, the number of its instructions. */
struct argument_bpf {
	__u32 type;
	__u32 instructions;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 _pad;
};
ABI_SIZE(struct argument_bpf, 24);

struct argument_perf_event {
	__u32 type;
	__u32 _pad;
	__u64 config;
	__u64 probe_offset;
};
ABI_SIZE(struct argument_perf_event, 24);

/* Bits of hook_match.done and of selector.actions */
#define ACTION_POST 0x1
#define ACTION_NO_POST 0x2
#define ACTION_TRACK_SOCK 0x4
#define ACTION_UNTRACK_SOCK 0x8
#define ACTION_SIGNAL 0x10
#define ACTION_OVERRIDE 0x20
#define ACTION_NOTIFY_ENFORCER 0x40
#define ACTION_CLEANUP_ENFORCER 0x80
#define ACTION_SET 0x100
#define ACTION_ENFORCE 0x200 /* what NotifyEnforcer left for this thread */

/* How a denial is carried out: a property of the program that ran. */
enum mechanism {
	MECHANISM_NONE = 0,
	MECHANISM_LSM = 1,
	MECHANISM_FMOD_RET = 2,
	MECHANISM_OVERRIDE_RETURN = 3,
};

/* One policy that wanted this hit. */
struct hook_match {
	__u32 policy;
	__u16 selector;	 /* position in the policy's own list for this hook */
	__u16 actions;	 /* ACTION_* asked for */
	__u16 done;	 /* of these, what was carried out */
	__u16 mechanism; /* enum mechanism of this hook */
	__s32 error;	 /* -errno of the first that failed */
};
ABI_SIZE(struct hook_match, 16);

/* Bits of event_hook.flags */
#define HOOK_RETURNED 0x1	 /* "result" is what the function returned */
#define HOOK_CONTINUED 0x2	 /* a further record of the same hit: other policies */
#define HOOK_ARGUMENTS_CUT 0x4	 /* ARGUMENTS_BYTES_MAX was reached: some arguments are missing */
#define HOOK_PROCESS_UNKNOWN 0x8 /* not in the process table */

struct event_hook {
	struct event_header header;
	struct process_key process;
	__u32 tid;
	__u32 hook;
	__u32 generation; /* of the policy set */
	__u16 matches;
	__u8 arguments;
	__u8 flags;	/* HOOK_* */
	__u64 entry_ns; /* CLOCK_BOOTTIME at entry, of a hit that is told at return; else 0 */
};
ABI_SIZE(struct event_hook, 64);

#endif
