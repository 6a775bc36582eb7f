/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The text of a struct path as its process sees it: mounts crossed, cut at the root of the process
 * (chroot, container). What d_path() does, for programs that may not call bpf_d_path().
 *
 * The walk goes up from the file, so the text grows from the end of its buffer to the front. It is
 * a global function called in a loop: the verifier checks a global function once and by itself, so
 * PATH_COMPONENTS_MAX components cost what PATH_STEP do, on every kernel since 5.6 and without
 * bpf_loop(). A global function takes no pointers before 5.12, therefore the state is in a per-CPU
 * map.
 *
 * A rename during the walk can mix old and new names: the locks that d_path() takes are out of a
 * program's reach.
 */
#ifndef TPY_PATH_BPF_H
#define TPY_PATH_BPF_H

#include "maps.bpf.h"
#include "lib/bound.bpf.h"
#include <bpf/bpf_core_read.h>

#define PATH_STEP 16	   /* components per call */
#define NAME_MAX_BYTES 255 /* NAME_MAX of Linux */
#define WALK_MORE 0
#define WALK_DONE 1

static __always_inline struct path_walk *path_walk_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&path_walks, &zero);
}

static __always_inline int dentry_is_deleted(struct dentry *dentry, struct dentry *parent)
{
	/* d_unlinked(): not in the hash of names and not the root of a file system */
	return dentry != parent && !BPF_CORE_READ(dentry, d_hash.pprev);
}

/* Put up to PATH_STEP more components before the text. Returns WALK_MORE or WALK_DONE. */
__noinline int walk_components(void)
{
	struct path_walk *walk = path_walk_get();
	struct dentry *dentry, *parent, *mount_root;
	struct vfsmount *vfsmount;
	__u32 start;
	int i;

	if (!walk)
		return WALK_DONE;
	dentry = (struct dentry *)walk->dentry;
	vfsmount = (struct vfsmount *)walk->mount;
	start = walk->start;
	mount_root = BPF_CORE_READ(vfsmount, mnt_root);

	for (i = 0; i < PATH_STEP; i++) {
		struct qstr name = {};
		__u32 length;

		if ((__u64)dentry == walk->root_dentry && (__u64)vfsmount == walk->root_mount)
			return WALK_DONE;
		parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == mount_root) {
			struct mount *mount = (void *)vfsmount -
					      bpf_core_field_offset(struct mount, mnt);
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (!above || above == mount) {
				walk->flags |= PATH_UNREACHABLE;
				return WALK_DONE;
			}
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			vfsmount = (void *)above + bpf_core_field_offset(struct mount, mnt);
			mount_root = BPF_CORE_READ(vfsmount, mnt_root);
			continue;
		}
		bpf_core_read(&name, sizeof(name), &dentry->d_name);
		length = name.len;
		if (length > NAME_MAX_BYTES || start < length + 1) {
			walk->flags |= PATH_CUT;
			return WALK_DONE;
		}
		start -= length;
		bpf_probe_read_kernel(&walk->text[MASK_INDEX(start, PATH_MAX_BYTES)],
				      CLAMP_SIZE(length, NAME_MAX_BYTES), name.name);
		start -= 1;
		walk->text[MASK_INDEX(start, PATH_MAX_BYTES)] = '/';
		walk->start = start;
		if (dentry == parent) { /* its own root, but of no mount: memfd, pipe, socket */
			walk->flags |= PATH_PSEUDO;
			return WALK_DONE;
		}
		dentry = parent;
	}
	walk->dentry = (__u64)dentry;
	walk->mount = (__u64)vfsmount;
	return WALK_MORE;
}

/* Walk from walk->dentry up to the root. */
__noinline int walk_path(void)
{
	struct path_walk *walk;
	int i;

	for (i = 0; i < PATH_COMPONENTS_MAX / PATH_STEP; i++)
		if (walk_components() != WALK_MORE)
			return 0;
	walk = path_walk_get();
	if (walk)
		walk->flags |= PATH_CUT;
	return 0;
}

/*
 * Resolve "path" as seen from "root". Afterwards the text is the last path_length() bytes before
 * walk->text[PATH_MAX_BYTES]; empty for the root itself. Both arguments are kernel addresses that
 * need not be valid: a bad one gives an empty path.
 */
static __always_inline void resolve_path(struct path_walk *walk, const struct path *path,
					 const struct path *root)
{
	struct dentry *dentry = BPF_CORE_READ(path, dentry);

	walk->dentry = (__u64)dentry;
	walk->mount = (__u64)BPF_CORE_READ(path, mnt);
	walk->root_dentry = (__u64)BPF_CORE_READ(root, dentry);
	walk->root_mount = (__u64)BPF_CORE_READ(root, mnt);
	walk->start = PATH_MAX_BYTES;
	walk->flags = dentry_is_deleted(dentry, BPF_CORE_READ(dentry, d_parent)) ? PATH_DELETED : 0;
	walk_path();
}

static __always_inline __u32 path_length(const struct path_walk *walk)
{
	return PATH_MAX_BYTES - walk->start;
}

#endif
