/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files, paths and descriptors. See capture_text.bpf.h for the functions.
 */
#ifndef TPY_CAPTURE_PATH_BPF_H
#define TPY_CAPTURE_PATH_BPF_H

#include "capture_room.bpf.h"
#include "lib/errno.bpf.h"
#include "lib/file.bpf.h"

/* Verifier: global functions take five arguments at most */
#define PATH_KIND(type, form) ((type) | (form) << 8)

/*
 * What the raw value leads to; "folder" is the struct path in which a FORM_CHILD is. Returns 0 or
 * -errno.
 */
static __always_inline long find_place(__u64 value, __u32 type, __u32 form, __u64 folder,
				       struct place *out)
{
	struct file *file = (void *)value;

	if (form == FORM_CHILD) {
		long error = bpf_core_read(&out->mount, sizeof(out->mount),
					   &((struct path *)folder)->mnt);

		return place_of_dentry((void *)value, out) || error ? -EFAULT : 0;
	}
	if (type == ARGUMENT_DENTRY)
		return place_of_dentry((void *)value, out) ? -EFAULT : 0;
	if (type == ARGUMENT_PATH)
		return place_of_path((void *)value, out) ? -EFAULT : 0;
	if (type == ARGUMENT_LINUX_BINPRM) {
		file = BPF_CORE_READ((struct linux_binprm *)value, file);
	} else if (form == FORM_KIOCB) {
		file = BPF_CORE_READ((struct kiocb *)value, ki_filp);
	} else if (form == FORM_FD) {
		if ((__s32)value == AT_FDCWD) {
			struct task_struct *task = (void *)bpf_get_current_task();
			struct fs_struct *fs = BPF_CORE_READ(task, fs);

			return place_of_path(&fs->pwd, out) ? -EFAULT : 0;
		}
		file = file_of_descriptor(value);
		if (!file)
			return -EBADF;
	}
	return place_of_file(file, out) ? -EFAULT : 0;
}

/* Append the text of the walk. Returns its length. */
static __always_inline __u64 append_walk(const struct path_walk *walk, __u32 mode, char *out)
{
	__u64 length = CLAMP_SIZE(path_length(walk), PATH_MAX_BYTES);
	__u64 start = MASK_INDEX(walk->start, PATH_MAX_BYTES);

	if (walk->flags & PATH_PSEUDO) {
		/* sockets and pipes have no name: what is there, if anything, is a protocol's */
		if ((mode & S_IFMT) == S_IFSOCK || (mode & S_IFMT) == S_IFIFO)
			return 0;
	} else if (!length) { /* the root itself */
		*out = '/';
		return 1;
	}
	/* Verifier: start + length has to end inside "text" */
	if (length > PATH_MAX_BYTES - start)
		length = 0;
	bpf_probe_read_kernel(out, length, &walk->text[start]);
	return length;
}

__noinline int capture_path(__u32 at, __u64 value, __u32 kind, __u64 folder)
{
	struct path_walk *walk = path_walk_get();
	struct hit *hit = hit_get();
	struct place place = {};
	struct argument_path *out;
	long error;

	if (!hit || !walk)
		return -EFAULT;
	error = find_place(value, kind & 0xff, kind >> 8, folder, &place);
	if (error)
		return error;
	out = payload_at(hit, at);
	if (read_inode(&place, out))
		return -EFAULT;
	walk_place(walk, &place);
	out->flags = walk->flags;
	if (walk->flags & PATH_CUT)
		head_at(hit, at)->flags |= ARGUMENT_CUT;
	return sizeof(*out) + append_walk(walk, out->mode, (char *)(out + 1));
}

#endif
