/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Other structs of the kernel: credentials, modules, BPF, perf. See capture_text.bpf.h for the
 * functions.
 */
#ifndef TPY_CAPTURE_KERNEL_BPF_H
#define TPY_CAPTURE_KERNEL_BPF_H

#include "capture_room.bpf.h"
#include "lib/compat.bpf.h"
#include "lib/errno.bpf.h"
#include <bpf/bpf_core_read.h>

#define BPF_NAME_BYTES 16     /* BPF_OBJ_NAME_LEN, of which one is the NUL */
#define MODULE_NAME_BYTES 64  /* a longer one than MODULE_NAME_LEN: 56 */
#define FUNCTION_NAME_MAX 512 /* KSYM_NAME_LEN */

/* Text behind a struct of "size" bytes at "out". Returns bytes of both, or -errno. */
static __always_inline long append_name(void *out, __u64 size, const void *name, __u64 room)
{
	long length = read_string(out + size, room, (__u64)name, false);

	return length >= 0 ? (long)size + length : -EFAULT;
}

static __always_inline long read_user_namespace(const struct user_namespace *namespace,
						struct argument_user_namespace *out)
{
	long error;

	error = bpf_core_read(&out->level, sizeof(out->level), &namespace->level);
	error |= bpf_core_read(&out->uid, sizeof(out->uid), &namespace->owner.val);
	error |= bpf_core_read(&out->gid, sizeof(out->gid), &namespace->group.val);
	error |= bpf_core_read(&out->inum, sizeof(out->inum), &namespace->ns.inum);
	return error;
}

__noinline int capture_user_namespace(__u32 at, __u64 value)
{
	struct hit *hit = hit_get();
	struct argument_user_namespace *out;

	if (!hit)
		return -EFAULT;
	out = payload_at(hit, at);
	return read_user_namespace((void *)value, out) ? -EFAULT : (int)sizeof(*out);
}

__noinline int capture_cred(__u32 at, __u64 value)
{
	const struct cred *cred = (void *)value;
	struct user_namespace *namespace = 0;
	struct hit *hit = hit_get();
	struct credentials *out;
	long error;

	if (!hit)
		return -EFAULT;
	out = payload_at(hit, at);
	error = bpf_core_read(&out->uid, sizeof(out->uid), &cred->uid.val);
	error |= bpf_core_read(&out->gid, sizeof(out->gid), &cred->gid.val);
	error |= bpf_core_read(&out->euid, sizeof(out->euid), &cred->euid.val);
	error |= bpf_core_read(&out->egid, sizeof(out->egid), &cred->egid.val);
	error |= bpf_core_read(&out->suid, sizeof(out->suid), &cred->suid.val);
	error |= bpf_core_read(&out->sgid, sizeof(out->sgid), &cred->sgid.val);
	error |= bpf_core_read(&out->fsuid, sizeof(out->fsuid), &cred->fsuid.val);
	error |= bpf_core_read(&out->fsgid, sizeof(out->fsgid), &cred->fsgid.val);
	error |= bpf_core_read(&out->securebits, sizeof(out->securebits), &cred->securebits);
	out->login_uid = LOGIN_UID_UNSET; /* that of a task, not of its credentials */
	error |= read_capability_set(&cred->cap_permitted, &out->permitted);
	error |= read_capability_set(&cred->cap_effective, &out->effective);
	error |= read_capability_set(&cred->cap_inheritable, &out->inheritable);
	error |= read_capability_set(&cred->cap_ambient, &out->ambient);
	error |= read_capability_set(&cred->cap_bset, &out->bounding);
	error |= bpf_core_read(&namespace, sizeof(namespace), &cred->user_ns);
	error |= read_user_namespace(namespace, (void *)(out + 1));
	if (error)
		return -EFAULT;
	return sizeof(*out) + sizeof(struct argument_user_namespace);
}

/* A struct module, or what there is of one while it is being loaded. */
__noinline int capture_module(__u32 at, __u64 value, __u32 type)
{
	struct load_info *info = (void *)value;
	struct module *module = (void *)value;
	struct hit *hit = hit_get();
	struct argument_module *out;
	const void *name;

	if (!has_modules())
		return -EOPNOTSUPP;
	if (!hit)
		return -EFAULT;
	out = payload_at(hit, at);
	if (type == ARGUMENT_MODULE) {
		name = &module->name;
		out->signature_ok = module_signature_ok(module);
	} else {
		name = BPF_CORE_READ(info, name);
		out->signature_ok = load_info_signature_ok(info);
		module = BPF_CORE_READ(info, mod);
	}
	out->_pad = 0;
	if (bpf_core_read(&out->taints, sizeof(out->taints), &module->taints))
		return -EFAULT;
	return append_name(out, sizeof(*out), name, MODULE_NAME_BYTES);
}

/* A struct bpf_prog or a struct bpf_map. */
__noinline int capture_bpf(__u32 at, __u64 value, __u32 type)
{
	const struct bpf_prog *program = (void *)value;
	const struct bpf_map *map = (void *)value;
	struct hit *hit = hit_get();
	struct bpf_prog_aux *rest;
	struct argument_bpf *out;
	const void *name;
	long error;

	if (!hit)
		return -EFAULT;
	out = payload_at(hit, at);
	__builtin_memset(out, 0, sizeof(*out));
	if (type == ARGUMENT_BPF_PROG) {
		error = bpf_core_read(&out->type, sizeof(out->type), &program->type);
		error |= bpf_core_read(&out->instructions, sizeof(out->instructions),
				       &program->len);
		rest = BPF_CORE_READ(program, aux);
		name = &rest->name;
	} else {
		error = bpf_core_read(&out->type, sizeof(out->type), &map->map_type);
		error |= bpf_core_read(&out->key_size, sizeof(out->key_size), &map->key_size);
		error |= bpf_core_read(&out->value_size, sizeof(out->value_size), &map->value_size);
		error |= bpf_core_read(&out->max_entries, sizeof(out->max_entries),
				       &map->max_entries);
		name = &map->name;
	}
	return error ? -EFAULT : append_name(out, sizeof(*out), name, BPF_NAME_BYTES);
}

/* What BPF_PROG_LOAD reads of union bpf_attr (include/uapi/linux/bpf.h). */
struct load_attributes {
	__u32 type;
	__u32 instructions;
	__u8 unused[40];
	char name[BPF_NAME_BYTES];
};

/* A union bpf_attr of "size" bytes: a caller that does not know of names gives a shorter one. */
__noinline int capture_bpf_attr(__u32 at, __u64 address, __u64 size, __u32 is_user)
{
	struct hit *hit = hit_get();
	struct load_attributes attributes = {};
	struct argument_bpf *out;

	if (!hit)
		return -EFAULT;
	out = payload_at(hit, at);
	__builtin_memset(out, 0, sizeof(*out));
	if (READ_MEMORY(&attributes, CLAMP_SIZE(size, sizeof(attributes)), address, is_user))
		return -EFAULT;
	out->type = attributes.type;
	out->instructions = attributes.instructions;
	return append_name(out, sizeof(*out), attributes.name, BPF_NAME_BYTES);
}

/* "kprobe" and its NUL, little-endian, as are all architectures that are supported */
#define KPROBE_NAME 0x0065626f72706bULL
#define KPROBE_NAME_BYTES 7

__noinline int capture_perf_event(__u32 at, __u64 value)
{
	const struct perf_event *event = (void *)value;
	struct hit *hit = hit_get();
	struct argument_perf_event *out;
	__u64 name = 0, function;
	long error, length;
	struct pmu *pmu;

	if (!hit)
		return -EFAULT;
	out = payload_at(hit, at);
	out->_pad = 0;
	error = bpf_core_read(&out->type, sizeof(out->type), &event->attr.type);
	error |= bpf_core_read(&out->config, sizeof(out->config), &event->attr.config);
	error |= bpf_core_read(&out->probe_offset, sizeof(out->probe_offset),
			       &event->attr.probe_offset);
	if (error)
		return -EFAULT;
	/* other kinds of events keep something else in the same place */
	pmu = BPF_CORE_READ(event, pmu);
	bpf_probe_read_kernel(&name, KPROBE_NAME_BYTES, BPF_CORE_READ(pmu, name));
	function = BPF_CORE_READ(event, attr.kprobe_func);
	if (name != KPROBE_NAME || !function)
		return sizeof(*out);
	length = read_string(out + 1, FUNCTION_NAME_MAX, function, true);
	return length >= 0 ? (int)sizeof(*out) + length : -EFAULT;
}

#endif
