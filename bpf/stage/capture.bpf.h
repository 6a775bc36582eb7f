/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The arguments of a hit into its record: where the raw value is, what it leads to, which bytes are
 * told of it (abi/hook.h). What cannot be read is told with its -errno.
 *
 * Needs the maps "hook_configs" and "steps" (tables.bpf.h).
 */
#ifndef TPY_CAPTURE_BPF_H
#define TPY_CAPTURE_BPF_H

#include "capture_kernel.bpf.h"
#include "capture_path.bpf.h"
#include "capture_room.bpf.h"
#include "capture_sock.bpf.h"
#include "capture_text.bpf.h"
#include "lib/errno.bpf.h"
#include "lib/registers.bpf.h"

#define COMPAT_SYSCALL 0x80000000U /* of ARGUMENT_SYSCALL64 */

/* Of each type of a number: the bits of a __u64 that it leaves unused, and whether it is signed. */
#define IS_SIGNED 1
static const __u8 number_types[ARGUMENT_STRING] = {
	[ARGUMENT_INT32] = 32 | IS_SIGNED,
	[ARGUMENT_INT16] = 48 | IS_SIGNED,
	[ARGUMENT_INT8] = 56 | IS_SIGNED,
	[ARGUMENT_UINT32] = 32,
	[ARGUMENT_UINT16] = 48,
	[ARGUMENT_UINT8] = 56,
	[ARGUMENT_CAPABILITY] = 32,
	[ARGUMENT_BPF_CMD] = 32,
};

/* What an argument is made of before anything is read through it. */
struct raw_value {
	__u64 value;
	__u64 size; /* of a buffer, or of what is in a tracepoint's record */
};

/* Returns 0, or not 0 if the tracepoint's record cannot be read. */
static __always_inline long read_raw(const struct hit *hit, const struct argument_config *argument,
				     struct raw_value *out)
{
	__u64 field = hit->context + argument->offset;
	__u32 location = 0;
	long error = 0;

	out->value = 0;
	out->size = argument->size;
	switch (argument->source) {
	case FROM_REGISTER:
		out->value = hit->raw[CLAMP_SIZE(argument->index, REGISTERS - 1)];
		break;
	case FROM_FIELD:
		out->value = field;
		if (argument->form != FORM_INLINE) {
			out->value = 0;
			error = bpf_probe_read_kernel(&out->value,
						      CLAMP_SIZE(argument->size, sizeof(__u64)),
						      (void *)field);
		}
		break;
	case FROM_DATA_LOC:
		error = bpf_probe_read_kernel(&location, sizeof(location), (void *)field);
		out->value = hit->context + (__u16)location;
		out->size = location >> 16;
		break;
	case FROM_TASK:
		out->value = bpf_get_current_task();
		break;
	case FROM_RETURN:
		out->value = hit->result;
		break;
	case FROM_SYSCALL:
		error = hit->lacks_syscall;
		out->value =
			hit->raw[REGISTERS + CLAMP_SIZE(argument->index, SYSCALL_REGISTERS - 1)];
		break;
	}
	return error;
}

/* The other raw argument that this one needs: a size, a folder. */
static __always_inline __u64 read_second(const struct hit *hit,
					 const struct argument_config *argument)
{
	return hit->raw[CLAMP_SIZE(argument->size_register - 1, RAW_COUNT - 1)];
}

/* The bytes that a caller's buffer has, or the number of its pieces. */
static __always_inline __u64 read_size(const struct hit *hit,
				       const struct argument_config *argument, __u64 size)
{
	if (argument->flags & ARGUMENT_SIZE_RETURNED)
		return (__s64)hit->result < 0 ? 0 : hit->result;
	if (argument->size_register)
		return read_second(hit, argument);
	return size;
}

/*
 * Follow the steps of "resolve" from "value" on and leave what is found behind the head at "at".
 * Returns 0, or the number of the step that failed.
 */
__noinline int resolve_value(__u32 at, __u64 value, __u32 first_step, __u32 steps_count)
{
	struct hit *hit = hit_get();
	__u32 i;

	if (!hit)
		return 1;
	for (i = 0; i < STEPS_MAX; i++) {
		__u32 row = first_step + i;
		struct resolve_step *step;

		if (i >= steps_count)
			break;
		step = bpf_map_lookup_elem(&steps, &row);
		if (!step)
			return i + 1;
		value += step->offset;
		if (step->dereference &&
		    bpf_probe_read_kernel(&value, sizeof(value), (void *)value))
			return i + 1;
	}
	*(__u64 *)payload_at(hit, at) = value;
	return 0;
}

/* A number of "type" whose raw value is "value". Returns the bytes of it, or -errno. */
static __always_inline long capture_number(__u64 value, __u32 type, __u32 form, __u64 *out)
{
	__u32 properties = number_types[MASK_INDEX(type, ARGUMENT_STRING)];
	__u32 unused = properties & ~IS_SIGNED & 63;

	if (form == FORM_MEMORY ||
	    (type >= ARGUMENT_KERNEL_CAP && type <= ARGUMENT_CAP_EFFECTIVE)) {
		__u64 address = value;

		value = 0;
		if (bpf_probe_read_kernel(&value, sizeof(value) - unused / 8, (void *)address))
			return -EFAULT;
	}
	if (type == ARGUMENT_SYSCALL64)
		value = (value & (COMPAT_SYSCALL - 1)) | (is_compat_syscall() ? COMPAT_SYSCALL : 0);
	value <<= unused;
	*out = properties & IS_SIGNED ? (__u64)((__s64)value >> unused) : value >> unused;
	return sizeof(*out);
}

/* The bytes of a string, of which "size" is known only if it is in a tracepoint's record. */
/* A parameter of a kernel function may point to the process as well: "char __user *". */
static __always_inline bool is_user_memory(const struct argument_config *argument, __u64 address)
{
	return argument->form == FORM_USER || !(address >> 63);
}

static __always_inline long capture_text(__u32 at, const struct argument_config *argument,
					 const struct raw_value *raw)
{
	__u64 value = raw->value;

	if (argument->type == ARGUMENT_NET_DEVICE)
		return capture_string(at, value + bpf_core_field_offset(struct net_device, name),
				      bpf_core_field_size(struct net_device, name) + 1, 0);
	if (argument->form == FORM_INLINE || argument->source == FROM_DATA_LOC)
		return capture_string(at, value, raw->size + 1, 0);
	if (argument->form == FORM_FILENAME)
		value = (__u64)BPF_CORE_READ((struct filename *)value, name);
	return capture_string(at, value, STRING_ROOM, is_user_memory(argument, value));
}

/* A struct iovec[] of the process, as system calls have it; of what was returned, only so much. */
static __always_inline long capture_iovec(const struct hit *hit, __u32 at,
					  const struct argument_config *argument, __u64 vectors)
{
	__u64 limit = ~0ULL, count;

	count = read_second(hit, argument);
	if (argument->flags & ARGUMENT_SIZE_RETURNED)
		limit = (__s64)hit->result < 0 ? 0 : hit->result;
	return capture_vectors(at, vectors,
			       count_vectors(count) | (is_compat_syscall() ? VECTORS_COMPAT : 0), 0,
			       limit);
}

/* Put what "raw" leads to behind the head at "at". Returns bytes or -errno. */
static __always_inline long capture_bytes(struct hit *hit, __u32 at, void *out,
					  const struct argument_config *argument,
					  const struct raw_value *raw)
{
	__u64 size = read_size(hit, argument, raw->size);
	bool is_user = is_user_memory(argument, raw->value);

	switch (argument->type) {
	case ARGUMENT_STRING:
	case ARGUMENT_NET_DEVICE:
		return capture_text(at, argument, raw);
	case ARGUMENT_CHAR_BUF:
	case ARGUMENT_CONST_BUF:
		if (argument->form == FORM_IOV_ITER)
			return capture_iov_iter(at, raw->value);
		if (argument->form == FORM_IOVEC)
			return capture_iovec(hit, at, argument, raw->value);
		return capture_buffer(at, raw->value, size, is_user);
	case ARGUMENT_FILE:
	case ARGUMENT_PATH:
	case ARGUMENT_DENTRY:
	case ARGUMENT_LINUX_BINPRM:
		return capture_path(at, raw->value, PATH_KIND(argument->type, argument->form),
				    size);
	case ARGUMENT_SOCK:
		return capture_sock(at, raw->value, argument->form);
	case ARGUMENT_SKB:
		return capture_skb(at, raw->value);
	case ARGUMENT_SOCKADDR:
		return capture_sockaddr(at, raw->value, is_user);
	case ARGUMENT_SOCKADDR_UN:
		if (!argument->size_register)
			size = ADDRESS_SIZE_UNKNOWN;
		return capture_sockaddr_un(at, raw->value, size, is_user);
	case ARGUMENT_CRED:
		return capture_cred(at, raw->value);
	case ARGUMENT_USER_NAMESPACE:
		return capture_user_namespace(at, raw->value);
	case ARGUMENT_MODULE:
	case ARGUMENT_LOAD_INFO:
		return capture_module(at, raw->value, argument->type);
	case ARGUMENT_BPF_ATTR:
		if (!argument->size_register)
			size = sizeof(struct load_attributes);
		return capture_bpf_attr(at, raw->value, size, is_user);
	case ARGUMENT_BPF_PROG:
	case ARGUMENT_BPF_MAP:
		return capture_bpf(at, raw->value, argument->type);
	case ARGUMENT_PERF_EVENT:
		return capture_perf_event(at, raw->value);
	case ARGUMENT_NOP:
		return 0;
	}
	if (argument->type < ARGUMENT_STRING)
		return capture_number(raw->value, argument->type, argument->form, out);
	return -EOPNOTSUPP;
}

/* "length" bytes, or an error, are behind the head at "at": they become a part of the record. */
static __always_inline void add_argument(struct hit *hit, __u32 slot, __u32 at,
					 struct argument_head *head, long length)
{
	head->length = length;
	at += sizeof(*head);
	hit->at[slot] = at;
	if (length >= 0) {
		length = CLAMP_SIZE(length, PAYLOAD_MAX);
		/* the NUL, and what follows it up to a multiple of 8 */
		*(__u64 *)((void *)(head + 1) + length) = 0;
		at += (length + sizeof(__u64)) & ~(sizeof(__u64) - 1);
	}
	if (at > ARGUMENTS_BYTES_MAX) {
		hit->at[slot] = NOT_CAPTURED;
		hit->event.flags |= HOOK_ARGUMENTS_CUT;
		return;
	}
	hit->used = at;
	hit->event.arguments++;
}

/* Capture the argument in "slot" of the hit of this CPU. */
__noinline int capture_argument(__u32 slot)
{
	struct hit *hit = hit_get();
	const struct argument_config *argument;
	const struct hook_config *config;
	struct argument_head *head;
	struct raw_value raw;
	__u32 at, depth = 0;
	long length;

	if (!hit)
		return 0;
	config = bpf_map_lookup_elem(&hook_configs, &hit->config);
	if (!config)
		return 0;
	slot = MASK_INDEX(slot, HOOK_ARGUMENTS_MAX);
	argument = &config->argument[slot];
	at = hit->used;
	if (at > HEAD_LAST) {
		hit->event.flags |= HOOK_ARGUMENTS_CUT;
		return 0;
	}
	head = head_at(hit, at);
	head->slot = slot;
	head->type = argument->type;
	head->flags = 0;
	length = read_raw(hit, argument, &raw);
	if (!length && argument->steps) {
		depth = resolve_value(at, raw.value, argument->first_step, argument->steps);
		raw.value = *(__u64 *)(head + 1);
	}
	head->depth = depth;
	if (length || depth)
		length = -EFAULT;
	else
		length = capture_bytes(hit, at, head + 1, argument, &raw);
	add_argument(hit, slot, at, head, length);
	return 0;
}

/* Capture the arguments that have all flags "want" and none of "unwanted" (ARGUMENT_*). */
static __always_inline void capture_arguments(struct hit *hit, const struct hook_config *config,
					      __u32 want, __u32 unwanted)
{
	__u32 slot;

	for (slot = 0; slot < HOOK_ARGUMENTS_MAX; slot++) {
		if (slot >= config->arguments)
			break;
		if ((config->argument[slot].flags & (want | unwanted)) == want)
			capture_argument(slot);
	}
}

#endif
