/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Records on the ring buffers: what the kernel side tells and user space decodes.
 *
 * Each record is an event_header, the fixed part of its type, and then the bytes of its variable
 * fields, one after the other, in the order of their enumerators. The fixed part has one signed
 * length per variable field: >= 0 bytes that follow, < 0 the -errno with which reading it failed
 * (no bytes follow). Every record is padded to a multiple of 8 bytes.
 *
 * This folder is the only contract between the kernel side and Python. Rules that let three
 * compilers read it: only __u8..__u64 and __s32, explicit padding, no bit-fields, no pointers,
 * plain "#define NAME <integer>".
 */
#ifndef TPY_ABI_EVENT_H
#define TPY_ABI_EVENT_H

#include "process.h"

/* One ring buffer per lane, so that a flood of one kind cannot push out another. */
enum event_lane {
	LANE_LIFECYCLE = 0, /* fork, exec, exit */
	LANE_VERDICT = 1,   /* enforcement */
	LANE_POLICY = 2,    /* observation by policies */
	LANE_COUNT = 3,
};

enum event_type {
	EVENT_NONE = 0, /* never sent: an all-zero record is malformed */
	EVENT_FORK = 1,
	EVENT_EXEC = 2,
	EVENT_EXIT = 3,
	EVENT_HOOK = 4, /* see hook.h */
	EVENT_TYPE_COUNT = 5,
};

struct event_header {
	__u32 size;	   /* bytes of the whole record, this header included */
	__u8 type;	   /* enum event_type */
	__u8 lane;	   /* enum event_lane */
	__u16 cpu;	   /* that ran the hook */
	__u64 sequence;	   /* counts what this CPU tried to post to this lane */
	__u64 boottime_ns; /* CLOCK_BOOTTIME */
};
ABI_SIZE(struct event_header, 24);

/* A new process (not a new thread). */
struct event_fork {
	struct event_header header;
	struct process_key process;
	struct process_key parent; /* the process that called fork, also with CLONE_PARENT */
	__u32 namespaces_changed;  /* 1: they differ from the parent's, and follow */
	__u32 nspid;		   /* id in the innermost pid namespace, 0 in the initial one */
	struct namespaces namespaces;
};
ABI_SIZE(struct event_fork, 104);

/* Bits of event_exec.flags and task_image.flags */
#define EXEC_AFTER_FORK 0x1	  /* the first exec of its process */
#define EXEC_SETUID 0x2		  /* the set-user-id bit of the file changed the effective uid */
#define EXEC_SETGID 0x4		  /* the same for the group */
#define EXEC_FILE_CAPS 0x8	  /* file capabilities raised the permitted set */
#define EXEC_PARENT_UNKNOWN 0x10  /* the process was not in the table */
#define EXEC_ARGUMENTS_CUT 0x20	  /* more arguments than the record may hold */
#define EXEC_ENVIRONMENT_CUT 0x40 /* more environment than the record may hold */

/* The texts of an image, in the order of their bytes. */
enum image_text {
	IMAGE_FILENAME = 0,    /* as passed to execve, not resolved */
	IMAGE_INTERPRETER = 1, /* what runs the file, if that is another one (#! or binfmt_misc) */
	IMAGE_EXECUTABLE = 2,  /* resolved path of the program that runs */
	IMAGE_CWD = 3,	       /* resolved path of the working directory */
	IMAGE_TTY = 4,	       /* name of the controlling terminal */
	IMAGE_CGROUP = 5,      /* names of the cgroup, innermost first, each ended by a NUL */
	IMAGE_TEXT_COUNT = 6,
};

/* Bits of the path flags: what a resolved path does not say itself. */
#define PATH_CUT 0x1 /* longer than PATH_MAX_BYTES or PATH_COMPONENTS_MAX: the front is missing */
#define PATH_DELETED 0x2     /* its last component has no name any more */
#define PATH_UNREACHABLE 0x4 /* not below the root of the process */
#define PATH_PSEUDO 0x8	     /* a file without directory: memfd, pipe, socket */

/*
 * What runs, where and as whom, whatever its arguments. Equal images are equal bytes, texts
 * included, so that user space reads each only once.
 */
struct image {
	__u64 inode;	       /* of the executable */
	__u64 cgroup_id;       /* in the cgroup v2 hierarchy */
	__u32 links;	       /* link count of the executable: 0 if deleted or a memfd */
	__u32 device;	       /* of the executable's file system: major << 20 | minor */
	__u32 mode;	       /* of the executable: type and permissions */
	__u8 cwd_flags;	       /* PATH_* */
	__u8 executable_flags; /* PATH_* */
	__u16 _pad;
	__s32 lengths[IMAGE_TEXT_COUNT]; /* bytes, or -errno */
	struct credentials credentials;
	struct namespaces namespaces;
};
ABI_SIZE(struct image, 176);

/* A process runs a new image. After it come the texts of the image, argv and envp. */
struct event_exec {
	struct event_header header;
	struct process_key process;
	struct process_key parent; /* the process that forked, or the image that this one replaces */
	__u32 flags;		   /* EXEC_* */
	__u32 tid_before;      /* thread that called exec: differs from tgid if not the leader */
	__u32 nspid;	       /* process id in the innermost pid namespace, 0 in the initial one */
	__u32 image_bytes;     /* of "image" and its texts */
	__u32 arguments_bytes; /* all of argv, also what was cut */
	__u32 environment_bytes;  /* all of envp, the same */
	__s32 arguments_length;	  /* argv, each ended by a NUL: bytes that follow, or -errno */
	__s32 environment_length; /* envp, the same; 0 unless asked for */
	struct image image;
};
ABI_SIZE(struct event_exec, 264);

/* A process has ended: its last thread is gone. */
struct event_exit {
	struct event_header header;
	struct process_key process;
	__u32 status; /* as wait(2) tells it: exit code << 8, or signal | 0x80 if it dumped core */
	__u32 tid;    /* the thread that went last */
};
ABI_SIZE(struct event_exit, 48);

/*
 * What the task iterator tells about a process that lived before the agent (not on a ring buffer:
 * read from the iterator's file). procfs adds arguments and paths.
 */
struct task_image {
	struct process_key process;
	struct process_key parent;
	__u32 flags; /* EXEC_AFTER_FORK: has not called exec since its fork */
	__u32 nspid;
	__u32 kernel_thread; /* 1: it has no memory of its own */
	__u32 _pad;
	__u64 cgroup_id;
	__u8 comm[16];
	struct credentials credentials;
	struct namespaces namespaces;
};
ABI_SIZE(struct task_image, 192);

#endif
