/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parameters of a function that a trampoline was attached to.
 */
#ifndef TPY_PARAMETERS_BPF_H
#define TPY_PARAMETERS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define PARAMETERS_MAX 6

/* Set before load. */
const volatile __u32 has_func_arg = 0; /* the helper of Linux 5.17, which reads all of them */
const volatile __u32 parameters = 0;   /* else bits: those that the verifier lets programs read */

/* Those that the function does not have are 0 or stay as they are. */
static __always_inline void read_parameters(__u64 *ctx, __u64 *out)
{
	int i;

	if (has_func_arg) {
		for (i = 0; i < PARAMETERS_MAX; i++)
			if (bpf_get_func_arg(ctx, i, &out[i]))
				out[i] = 0;
		return;
	}
	/* Verifier: each is a load of its own, which goes away if it would be refused */
	if (parameters & 0x1)
		out[0] = ctx[0];
	if (parameters & 0x2)
		out[1] = ctx[1];
	if (parameters & 0x4)
		out[2] = ctx[2];
	if (parameters & 0x8)
		out[3] = ctx[3];
	if (parameters & 0x10)
		out[4] = ctx[4];
	if (parameters & 0x20)
		out[5] = ctx[5];
}

#endif
