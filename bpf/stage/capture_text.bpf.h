/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Strings and buffers, of the process and of the kernel, in one piece or in many.
 *
 * Global functions, see hit.bpf.h. They return the bytes that they put behind the head at "at", or
 * -errno.
 */
#ifndef TPY_CAPTURE_TEXT_BPF_H
#define TPY_CAPTURE_TEXT_BPF_H

#include "capture_room.bpf.h"
#include "lib/compat.bpf.h"
#include "lib/errno.bpf.h"
#include "lib/registers.bpf.h"

/* A string that fills it has been cut: there is one byte more than the longest text and its NUL. */
#define STRING_ROOM (ARGUMENT_TEXT_MAX + 2)

/* A string of less than "room" bytes. */
__noinline int capture_string(__u32 at, __u64 address, __u32 room, __u32 is_user)
{
	struct hit *hit = hit_get();
	__u64 size = CLAMP_SIZE(room, STRING_ROOM);
	long length;

	if (!hit)
		return -EFAULT;
	length = read_string(payload_at(hit, at), size, address, is_user);
	if (length < 0)
		return -EFAULT;
	if (length <= ARGUMENT_TEXT_MAX)
		return length;
	head_at(hit, at)->flags |= ARGUMENT_CUT;
	return ARGUMENT_TEXT_MAX;
}

/* "size" bytes. */
__noinline int capture_buffer(__u32 at, __u64 address, __u64 size, __u32 is_user)
{
	struct hit *hit = hit_get();
	struct argument_buffer *out;
	__u64 length = CLAMP_SIZE(size, ARGUMENT_TEXT_MAX);

	if (!hit)
		return -EFAULT;
	out = payload_at(hit, at);
	out->bytes = size;
	if (READ_MEMORY(out + 1, length, address, is_user))
		return -EFAULT;
	if (size > ARGUMENT_TEXT_MAX)
		head_at(hit, at)->flags |= ARGUMENT_CUT;
	return sizeof(*out) + length;
}

/*
 * How a buffer in pieces is read. A global function has five parameters at most, so these bits share
 * one with a count.
 */
#define VECTORS_MAX 8 /* pieces that are looked at */
#define VECTORS_COUNT 0xffff
#define VECTORS_IN_KERNEL 0x10000 /* the array of pieces itself */
#define VECTORS_OF_KERNEL 0x20000 /* what they point to */
#define VECTORS_COMPAT 0x40000	  /* the array is that of a 32-bit process */

static __always_inline __u32 count_vectors(__u64 count)
{
	return CLAMP_SIZE(count, VECTORS_MAX + 1);
}

/* An entry of an array of struct iovec, or of struct compat_iovec: two times 32 bits. */
static __always_inline long read_vector(__u64 address, __u32 how, __u64 out[2])
{
	__u64 size = how & VECTORS_COMPAT ? sizeof(__u64) : 2 * sizeof(__u64);
	long error;

	out[0] = 0;
	out[1] = 0;
	error = READ_MEMORY(out, size, address, !(how & VECTORS_IN_KERNEL));
	if (how & VECTORS_COMPAT) {
		out[1] = out[0] >> 32;
		out[0] = (__u32)out[0];
	}
	return error;
}

/*
 * Append the piece that the entry at "address" describes, without its first "skip" bytes, to those
 * that are there: "how" says how many bytes. Returns how many there are then, or -errno.
 */
__noinline int capture_piece(__u32 at, __u64 address, __u32 how, __u64 skip, __u64 limit)
{
	struct hit *hit = hit_get();
	__u64 length, left, vector[2], filled = how & VECTORS_COUNT;
	struct argument_buffer *out;
	__u64 end;

	if (!hit || read_vector(address, how, vector) || vector[1] < skip)
		return -EFAULT;
	out = payload_at(hit, at);
	end = at + sizeof(struct argument_head) + sizeof(*out) + filled;
	left = limit - out->bytes;
	length = vector[1] - skip;
	if (length > left)
		length = left;
	out->bytes += length;
	left = ARGUMENT_TEXT_MAX - filled;
	if (length > left) {
		head_at(hit, at)->flags |= ARGUMENT_CUT;
		length = left;
	}
	/* Verifier: it does not follow that both are within the room of one text */
	length = CLAMP_SIZE(length, ARGUMENT_TEXT_MAX);
	end = CLAMP_SIZE(end, ARGUMENTS_BYTES_MAX + ARGUMENT_TEXT_MAX);
	if (READ_MEMORY(&hit->bytes[end], length, vector[0] + skip, !(how & VECTORS_OF_KERNEL)))
		return -EFAULT;
	return filled + length;
}

/* A buffer in pieces, up to "limit" bytes, without the first "skip". */
__noinline int capture_vectors(__u32 at, __u64 vectors, __u32 how, __u64 skip, __u64 limit)
{
	__u32 size = how & VECTORS_COMPAT ? sizeof(__u64) : 2 * sizeof(__u64);
	struct hit *hit = hit_get();
	int filled = 0;
	__u32 i;

	if (!hit)
		return -EFAULT;
	((struct argument_buffer *)payload_at(hit, at))->bytes = 0;
	for (i = 0; i < VECTORS_MAX; i++) {
		if (i >= (how & VECTORS_COUNT))
			break;
		filled = capture_piece(at, vectors + i * size, (how & ~VECTORS_COUNT) | filled,
				       skip, limit);
		if (filled < 0)
			return filled;
		skip = 0;
	}
	if ((how & VECTORS_COUNT) > VECTORS_MAX)
		head_at(hit, at)->flags |= ARGUMENT_CUT;
	return sizeof(struct argument_buffer) + filled;
}

/* What is left of a struct iov_iter: buffers of a process or of the kernel, not pages. */
__noinline int capture_iov_iter(__u32 at, __u64 address)
{
	const struct iov_iter *iter = (void *)address;
	__u64 count = 0, skip = BPF_CORE_READ(iter, iov_offset);
	__u32 how = VECTORS_IN_KERNEL | count_vectors(BPF_CORE_READ(iter, nr_segs));

	if (bpf_core_read(&count, sizeof(count), &iter->count))
		return -EFAULT;
	switch (iov_iter_kind(iter)) {
	case IOV_ITER_UBUF:
		return capture_buffer(at, iov_iter_buffer(iter) + skip, count, 1);
	case IOV_ITER_KVEC:
		how |= VECTORS_OF_KERNEL;
		/* fallthrough */
	case IOV_ITER_IOVEC:
		return capture_vectors(at, (__u64)iov_iter_vectors(iter), how, skip, count);
	default:
		return -EOPNOTSUPP;
	}
}

#endif
