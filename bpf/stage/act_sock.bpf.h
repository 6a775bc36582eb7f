/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TrackSock: whose a socket is. Hooks in interrupt context run in whatever process was there; the
 * event of a tracked socket names its owner instead.
 */
#ifndef TPY_ACT_SOCK_BPF_H
#define TPY_ACT_SOCK_BPF_H

#include "hit.bpf.h"
#include "tables.bpf.h"
#include <bpf/bpf_core_read.h>

/* The address of the struct sock that the argument in "slot" is or belongs to; 0: none. */
static __always_inline __u64 sock_of_argument(struct hit *hit, const struct hook_config *config,
					      __u32 slot)
{
	const struct argument_config *argument;
	__u64 raw;

	slot = MASK_INDEX(slot, HOOK_ARGUMENTS_MAX);
	argument = &config->argument[slot];
	if (argument->source == FROM_RETURN)
		return hit->result;
	if (argument->source != FROM_REGISTER || argument->steps)
		return 0;
	raw = hit->raw[CLAMP_SIZE(argument->index, REGISTERS - 1)];
	if (argument->type == ARGUMENT_SKB)
		return (__u64)BPF_CORE_READ((struct sk_buff *)raw, sk);
	if (argument->form == FORM_SOCKET)
		return (__u64)BPF_CORE_READ((struct socket *)raw, sk);
	return raw;
}

/* Note or forget the owner, as the selector says. */
static __always_inline void track_sock(struct hit *hit, const struct hook_config *config,
				       const struct selector *selector)
{
	__u64 sock = sock_of_argument(hit, config, selector->sock_slot);
	struct sock_owner owner = { .process = hit->event.process, .tid = hit->event.tid };

	if (!sock)
		return;
	if (selector->actions & ACTION_UNTRACK_SOCK)
		bpf_map_delete_elem(&sock_owners, &sock);
	else
		bpf_map_update_elem(&sock_owners, &sock, &owner, BPF_ANY);
}

/* The event names the owner of its socket, if that is tracked. */
static __always_inline void name_owner(struct hit *hit, const struct hook_config *config)
{
	struct sock_owner *owner;
	__u64 sock;

	if (!(config->flags & HOOK_HAS_SOCK))
		return;
	sock = sock_of_argument(hit, config, config->flags >> HOOK_SOCK_SHIFT);
	owner = bpf_map_lookup_elem(&sock_owners, &sock);
	if (!owner)
		return;
	hit->event.process = owner->process;
	hit->event.tid = owner->tid;
	hit->event.flags &= ~HOOK_PROCESS_UNKNOWN;
}

#endif
