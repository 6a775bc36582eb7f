/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files of the current process, and what an inode says. Addresses need not be valid: a read that
 * fails is told.
 */
#ifndef TPY_FILE_BPF_H
#define TPY_FILE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "abi/hook.h"
#include "lib/path.bpf.h"

#define AT_FDCWD (-100) /* include/uapi/linux/fcntl.h */
#define S_IFMT 00170000 /* include/uapi/linux/stat.h */
#define S_IFSOCK 0140000
#define S_IFIFO 0010000

/* A name in a mount, and what it names. */
struct place {
	struct dentry *dentry;
	struct vfsmount *mount; /* 0: unknown, only the path within the file system can be told */
	struct inode *inode;	/* 0: the name is not in use */
	__u32 open_flags;
};

/* The file behind a descriptor of the current process; 0 if there is none. */
static __always_inline struct file *file_of_descriptor(__u32 descriptor)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file *file = 0;

	if (descriptor < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + descriptor);
	return file;
}

/* These fill "out" and return 0, or not 0 if something could not be read. */

static __always_inline long place_of_path(const struct path *path, struct place *out)
{
	struct dentry *dentry = 0;
	long error;

	error = bpf_core_read(&dentry, sizeof(dentry), &path->dentry);
	error |= bpf_core_read(&out->mount, sizeof(out->mount), &path->mnt);
	error |= bpf_core_read(&out->inode, sizeof(out->inode), &dentry->d_inode);
	out->dentry = dentry;
	return error;
}

static __always_inline long place_of_file(const struct file *file, struct place *out)
{
	long error;

	error = bpf_core_read(&out->dentry, sizeof(out->dentry), &file->f_path.dentry);
	error |= bpf_core_read(&out->mount, sizeof(out->mount), &file->f_path.mnt);
	error |= bpf_core_read(&out->inode, sizeof(out->inode), &file->f_inode);
	error |= bpf_core_read(&out->open_flags, sizeof(out->open_flags), &file->f_flags);
	return error;
}

static __always_inline long place_of_dentry(struct dentry *dentry, struct place *out)
{
	out->dentry = dentry;
	return bpf_core_read(&out->inode, sizeof(out->inode), &dentry->d_inode);
}

/* What the inode says: all of "out" but its flags. */
static __always_inline long read_inode(const struct place *place, struct argument_path *out)
{
	struct dentry *dentry = place->dentry;
	struct inode *inode = place->inode;
	struct super_block *super = 0;
	unsigned long number = 0;
	umode_t mode = 0;
	dev_t device = 0;
	long error;

	if (inode) {
		error = bpf_core_read(&super, sizeof(super), &inode->i_sb);
		error |= bpf_core_read(&number, sizeof(number), &inode->i_ino);
		error |= bpf_core_read(&mode, sizeof(mode), &inode->i_mode);
	} else {
		error = bpf_core_read(&super, sizeof(super), &dentry->d_sb);
	}
	error |= bpf_core_read(&device, sizeof(device), &super->s_dev);
	out->inode = number;
	out->device = device;
	out->mode = mode;
	out->open_flags = place->open_flags;
	return error;
}

/* Walk from "place" to the root of the current process, or to that of its file system. */
static __always_inline void walk_place(struct path_walk *walk, const struct place *place)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct dentry *dentry = place->dentry;
	struct fs_struct *fs;

	walk->dentry = (__u64)dentry;
	walk->mount = (__u64)place->mount;
	if (place->mount) {
		fs = BPF_CORE_READ(task, fs);
		walk->root_dentry = (__u64)BPF_CORE_READ(fs, root.dentry);
		walk->root_mount = (__u64)BPF_CORE_READ(fs, root.mnt);
	} else {
		walk->root_dentry = (__u64)BPF_CORE_READ(dentry, d_sb, s_root);
		walk->root_mount = 0;
	}
	walk->start = PATH_MAX_BYTES;
	walk->flags = 0;
	if (place->inode && dentry_is_deleted(dentry, BPF_CORE_READ(dentry, d_parent)))
		walk->flags = PATH_DELETED;
	walk_path();
}

#endif
