/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What policies become: tables. User space writes them, hooks read them.
 *
 * All selectors of all policies on a hook are numbered, in the order of the policies: selector n is
 * bit n of a vector. Each dimension of a hook maps one property of a hit to the vector of the
 * selectors that are content with it. The AND of these vectors says which selectors match; of each
 * policy the first one counts.
 *
 * Tables are immutable: what changes gets new rows and a new hook_config, and the "index" of the
 * other generation points there. One write of "active" switches.
 */
#ifndef TPY_ABI_POLICY_H
#define TPY_ABI_POLICY_H

#include "hook.h"

#define HOOKS_MAX 2048		 /* numbers of attach points: 1 .. HOOKS_MAX - 1; 0 is none */
#define SELECTORS_MAX 1024	 /* per hook, of all policies */
#define VECTOR_WORDS 16		 /* SELECTORS_MAX / 64 */
#define DIMENSIONS_MAX 24	 /* per hook */
#define STEPS_MAX 10		 /* of "resolve" */
#define SYSCALL_NUMBERS 1024	 /* of one table; the 32-bit one follows the native one */
#define TEXT_KEY_BYTES 248	 /* longest pattern of Prefix and Postfix, and Equal with its NUL */
#define SUBSTRING_BYTES_MAX 1024 /* that are searched */
#define FOLLOW_SETS_MAX 64	 /* followForks and followChildren of all policies */

/* A set of selectors of one hook. */
struct vector {
	__u64 words[VECTOR_WORDS];
};
ABI_SIZE(struct vector, 128);

/* How a dimension looks its value up. "row" numbers count from dimension.table. */
enum dimension_kind {
	DIMENSION_NONE = 0,
	DIMENSION_RANGE = 1,	    /* number -> "bounds": the last row whose low is not above it */
	DIMENSION_BITS = 2,	    /* number -> miss OR "rows" of its bits */
	DIMENSION_NO_BITS = 3,	    /* number -> miss AND NOT "rows" of its bits */
	DIMENSION_CLASS = 4,	    /* small number -> "rows" */
	DIMENSION_TEXT = 5,	    /* text and a NUL -> longest prefix in "texts" */
	DIMENSION_TEXT_END = 6,	    /* text reversed -> longest prefix in "texts" */
	DIMENSION_TEXT_WHOLE = 7,   /* text -> "short_texts", "long_texts" by its length */
	DIMENSION_SUBSTRING = 8,    /* text -> miss OR what the automaton found */
	DIMENSION_NO_SUBSTRING = 9, /* text -> miss AND NOT what the automaton found */
	DIMENSION_ADDRESS = 10,	    /* address -> longest prefix in "addresses" */
	DIMENSION_KIND_COUNT = 11,
};

/* Where a dimension finds its value. */
enum dimension_source {
	SOURCE_ARGUMENT = 0,		 /* "offset" and "width" within the bytes of slot "slot" */
	SOURCE_RETURN = 1,		 /* what the function returned: known at its return only */
	SOURCE_PID = 2,			 /* tgid in the initial namespace */
	SOURCE_NAMESPACE_PID = 3,	 /* tgid in the innermost one */
	SOURCE_BINARY = 4,		 /* process_class.binary[slot], see enum binary_class */
	SOURCE_FOLLOWED = 5,		 /* process_class.followed */
	SOURCE_NAMESPACE = 6,		 /* inode number; slot: position in struct namespaces */
	SOURCE_NAMESPACES_CHANGED = 7,	 /* bit: position in struct namespaces */
	SOURCE_CAPABILITIES = 8,	 /* slot: enum capability_set */
	SOURCE_CAPABILITIES_CHANGED = 9, /* slot: enum capability_set; bits that differ */
	SOURCE_CAPABILITIES_GAINED = 10, /* of slot, and not of slot "width" */
	SOURCE_ENFORCER = 11,		 /* enforcer_verdict.enforcer of the thread; 0: none */
	SOURCE_COUNT = 12,
};

enum capability_set {
	CAPABILITIES_EFFECTIVE = 0,
	CAPABILITIES_INHERITABLE = 1,
	CAPABILITIES_PERMITTED = 2,
	CAPABILITY_SET_COUNT = 3,
};

enum binary_class {
	BINARY_BEGIN = 0,	 /* by the beginning or the whole of its path */
	BINARY_END = 1,		 /* by the end of its path */
	BINARY_PARENT_BEGIN = 2, /* the same of its parent */
	BINARY_PARENT_END = 3,
	BINARY_CLASS_COUNT = 4,
};

/*
 * How process_class is filled for one generation: from the path of the executable, by two tables in
 * "texts" whose values are classes (0: in no row), and "follow_rows", class -> bits of "followed".
 */
struct class_config {
	__u32 begin_table;
	__u32 end_table;
	__u32 begin_follow_rows;
	__u32 end_follow_rows;
	__u32 flags;	 /* CLASS_* */
	__u32 pid_table; /* in "followed_pids": tgid -> bits of "followed"; + 1: in its namespace */
};
ABI_SIZE(struct class_config, 24);

/* Key of the hash "followed_pids". */
struct pid_key {
	__u32 table;
	__u32 pid;
};
ABI_SIZE(struct pid_key, 8);

/* A row of "syscalls": numbers of hooks, 0: none. */
struct syscall_hooks {
	__u32 native;
	__u32 compat; /* the 32-bit table of a 64-bit kernel */
};
ABI_SIZE(struct syscall_hooks, 8);

/*
 * Key of the hash "guards": which hook decides when a system call reaches an LSM hook. Rows of
 * GUARD_IO_URING + 0, 1, ... are for tasks that use io_uring, whose operations are no system calls.
 */
struct guard_key {
	__u32 guard; /* number of the LSM hook's program */
	__u32 call;  /* number of the system call; GUARD_COMPAT: of the 32-bit table */
};
ABI_SIZE(struct guard_key, 8);

#define GUARD_COMPAT 0x80000000U
#define GUARD_IO_URING 0x40000000U
#define GUARD_IO_URING_MAX 16 /* hooks that are looked at */

/* Value of "verdict_notes", by thread: what NotifyEnforcer wants of the next enforced call. */
struct enforcer_verdict {
	__u32 enforcer; /* selector.enforcer */
	__s32 error;	/* 0: none */
	__u32 signal;	/* 0: none */
	__u32 _pad;
};
ABI_SIZE(struct enforcer_verdict, 16);

/* Key of "repeats". */
struct repeat_key {
	__u32 tgid;
	__u32 policy; /* hook_match.policy: also says the hook */
};
ABI_SIZE(struct repeat_key, 8);

#define REPEATS_TOLD 100 /* in a window, one by one */
#define REPEATS_WINDOW_NS 1000000000

/* Enforced hits of one policy and hook by one process: beyond REPEATS_TOLD they are counted. */
struct repeat {
	__u64 window_ns; /* CLOCK_BOOTTIME of its first hit */
	__u64 last_ns;
	__u64 start_boottime_ns; /* of the process */
	__u64 told;		 /* in this window, also by other CPUs: about */
	__u64 counted;		 /* since the entry was made, exactly */
	__u32 hook;
	__u16 selector;
	__u16 actions;
	__u16 done;
	__u16 mechanism;
	__s32 error;
};
ABI_SIZE(struct repeat, 56);

#define CLASS_HAS_BINARIES 0x1
#define CLASS_HAS_PIDS 0x2

/* Bits of dimension.flags */
#define DIMENSION_SIGNED 0x1	/* sign-extend the number, order it as signed */
#define DIMENSION_AT_RETURN 0x2 /* known at the return only */

struct dimension {
	__u8 kind;   /* enum dimension_kind */
	__u8 source; /* enum dimension_source */
	__u8 slot;
	__u8 width;   /* of a number, in bytes: 1, 2, 4, 8 */
	__u16 offset; /* of the value within its argument */
	__u16 flags;  /* DIMENSION_* */
	__u32 table;  /* first row, or the number of a table in a map of keys */
	__u32 count;  /* rows */
	__u32 miss;   /* number of the vector for a value that no row has */
	__u32 error;  /* the same for a value that could not be read */
};
ABI_SIZE(struct dimension, 24);

/* Where the raw value of an argument is. */
enum argument_source {
	FROM_REGISTER = 0, /* "index": 0 .. 5, parameter of the function or of the system call */
	FROM_FIELD = 1,	   /* of a tracepoint's record: "offset", "size" */
	FROM_DATA_LOC = 2, /* the same, a __u32: size << 16 | offset */
	FROM_TASK = 3,	   /* address of the current task_struct */
	FROM_RETURN = 4,
	FROM_SYSCALL = 5, /* "index": 0 .. 5, of the system call that the hook is in */
};

/* What the raw value is, where several lead to the same enum argument_type. */
enum argument_form {
	FORM_PLAIN = 0,	   /* the number itself, or a pointer to the struct of this name */
	FORM_MEMORY = 1,   /* address of the number in the kernel, after "resolve" */
	FORM_USER = 2,	   /* text or struct at an address of the process */
	FORM_KERNEL = 3,   /* the same in the kernel */
	FORM_FD = 4,	   /* number of a descriptor */
	FORM_KIOCB = 5,	   /* struct kiocb */
	FORM_FILENAME = 6, /* struct filename */
	FORM_SOCKET = 7,   /* struct socket */
	FORM_IOVEC = 8,	   /* struct iovec[]; the number of entries is the size argument */
	FORM_IOV_ITER = 9, /* struct iov_iter */
	FORM_INLINE = 10,  /* bytes in the tracepoint's record itself */
	FORM_CHILD = 11,   /* struct dentry; the size register has the struct path of its folder */
};

/* Bits of argument_config.flags */
#define ARGUMENT_FILTERED 0x1	   /* a dimension needs it: captured before classification */
#define ARGUMENT_AT_RETURN 0x2	   /* captured at the return (returnCopy, returnArg) */
#define ARGUMENT_SIZE_RETURNED 0x4 /* the size of the buffer is the return value */

struct argument_config {
	__u8 type;   /* enum argument_type */
	__u8 source; /* enum argument_source */
	__u8 form;   /* enum argument_form */
	__u8 index;
	__u16 offset;
	__u16 size;	    /* bytes of a number or of a tracepoint's field */
	__u8 size_register; /* 1 + index of the register with the size of a buffer; 0: none */
	__u8 steps;	    /* of "resolve": rows of "steps" from first_step on */
	__u8 flags;
	__u8 _pad;
	__u32 first_step;
};
ABI_SIZE(struct argument_config, 16);

/* One step of "resolve": add the offset, then follow the pointer that is there. */
struct resolve_step {
	__u32 offset;
	__u32 dereference;
};
ABI_SIZE(struct resolve_step, 8);

/* Bits of hook_config.flags */
#define HOOK_WANTS_RETURN 0x1 /* some policy tells the return value */
#define HOOK_HAS_SOCK 0x4     /* the slot of a socket is in flags >> HOOK_SOCK_SHIFT */
#define HOOK_SOCK_SHIFT 8
#define HOOK_KILLS 0x8	     /* a policy wants it if it cannot be judged (on-failure: kill) */
#define HOOK_WANTS_CLASS 0x2 /* a dimension needs the entry of the process table */

/* One hook in one version of the policy set. */
struct hook_config {
	__u32 generation; /* that wrote it */
	__u32 first_selector;
	__u32 return_vector; /* the selectors that act at the return */
	__u16 selectors;
	__u8 words; /* of its vectors that are in use */
	__u8 arguments;
	__u8 dimensions; /* those at return come last */
	__u8 return_dimensions;
	__u16 flags;
	struct argument_config argument[HOOK_ARGUMENTS_MAX];
	struct dimension dimension[DIMENSIONS_MAX];
};
ABI_SIZE(struct hook_config, 852);

/* Value of "sock_owners": who a socket belongs to (TrackSock). */
struct sock_owner {
	struct process_key process;
	__u32 tid;
	__u32 _pad;
};
ABI_SIZE(struct sock_owner, 24);

enum rate_scope {
	RATE_THREAD = 0,
	RATE_PROCESS = 1,
	RATE_GLOBAL = 2,
};

/* One selector of one policy on one hook. */
struct selector {
	__u32 policy;
	__u16 number;	  /* in the policy's own list for this hook */
	__u16 policy_end; /* bit after the last selector of the same policy on this hook */
	__u32 counter;	  /* row of "counters" */
	__u16 actions;	  /* ACTION_*; none: its policy wants nothing then */
	__u16 arguments;  /* bit: slots that this policy tells */
	__u32 monitored;  /* of "actions", those that are only counted */
	__s32 error;	  /* of Override */
	__u8 signal;
	__u8 sock_slot;
	__u8 rate_scope;
	__u8 tells_return;   /* 1: acts at the return, with its value (enum phase) */
	__u32 rate_ms;	     /* 0: no limit */
	__u32 enforcer;	     /* which one NotifyEnforcer means: a number of the policy */
	__u8 failure_signal; /* sent if an action cannot be carried out; 0: none */
	__u8 _pad[3];
};
ABI_SIZE(struct selector, 40);

/* Per-CPU counters of a selector. */
struct selector_counters {
	__u64 matched;
	__u64 posted;
	__u64 limited; /* not posted because of the rate limit */
	__u64 signalled;
	__u64 overridden;
	__u64 notified;	 /* an enforcer was */
	__u64 monitored; /* enforcement that was asked for and not done */
	__u64 failed;
	__u64 repeated; /* not posted one by one: in "repeats" */
	__u64 lost;	/* the ring buffer was full */
};
ABI_SIZE(struct selector_counters, 80);

/* A row of the map "bounds". */
struct bound {
	__u64 low; /* signed numbers have their sign bit flipped, so that they order as unsigned */
	__u32 vector;
	__u32 _pad;
};
ABI_SIZE(struct bound, 16);

/* Key of the LPM trie "texts". prefix_bits counts from "table" on. */
struct text_key {
	__u32 prefix_bits;
	__u32 table;
	__u8 text[TEXT_KEY_BYTES];
};
ABI_SIZE(struct text_key, 256);

/* Key of the LPM trie "addresses"; a dimension's IPv4 table is "table", that of IPv6 "table" + 1. */
struct address_key {
	__u32 prefix_bits;
	__u32 table;
	__u8 address[16];
};
ABI_SIZE(struct address_key, 24);

#define SHORT_TEXT_BYTES 472
#define LONG_TEXT_BYTES 4096

/* Keys of the hashes "short_texts" and "long_texts" (not on kernels whose hash keys end at 512). */
struct short_text_key {
	__u32 table;
	__u32 length;
	__u8 text[SHORT_TEXT_BYTES];
};
ABI_SIZE(struct short_text_key, 480);

struct long_text_key {
	__u32 table;
	__u32 length;
	__u8 text[LONG_TEXT_BYTES];
};
ABI_SIZE(struct long_text_key, 4104);

/* A state of an Aho-Corasick automaton: rows count from dimension.table, row 0 is the start. */
struct automaton_state {
	__u16 next[256];
	__u32 found; /* vector of what ends here, 0: nothing */
	__u32 _pad;
};
ABI_SIZE(struct automaton_state, 520);

#endif
