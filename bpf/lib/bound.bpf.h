/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Verifier idioms. Every mask and every barrier of the kernel side is here, with what the verifier
 * could not prove without it.
 */
#ifndef TPY_BOUND_BPF_H
#define TPY_BOUND_BPF_H

/* libbpf's own is no constant expression. */
#undef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)

/*
 * Verifier: the compiler may check one register and index with another copy of it. This keeps
 * "x" in one register between check and use.
 */
#define KEEP(x) asm volatile("" : "+r"(x))

/* Index into an array whose size is a power of two. Verifier: wants the bound at the use. */
#define MASK_INDEX(index, size)                                                                    \
	({                                                                                         \
		_Static_assert(((size) & ((size) - 1)) == 0, "not a power of two");                \
		__u64 __index = (index);                                                           \
		KEEP(__index);                                                                     \
		__index &= (size) - 1;                                                             \
		__index;                                                                           \
	})

/*
 * Whether a 64-bit "x" is below "low" or above "high". Verifier: the compiler would make one
 * comparison of both, from which older kernels learn nothing.
 */
#define IS_OUTSIDE(x, low, high)                                                                   \
	({                                                                                         \
		bool __outside = true;                                                             \
		KEEP(x);                                                                           \
		if ((x) >= (low)) {                                                                \
			KEEP(x);                                                                   \
			if ((x) <= (high))                                                         \
				__outside = false;                                                 \
		}                                                                                  \
		__outside;                                                                         \
	})

/* min(length, max) in a form that the verifier follows: one 64-bit register, an upper bound. */
#define CLAMP_SIZE(length, max)                                                                    \
	({                                                                                         \
		__u64 __length = (length);                                                         \
		KEEP(__length);                                                                    \
		if (__length > (max))                                                              \
			__length = (max);                                                          \
		__length;                                                                          \
	})

#endif
