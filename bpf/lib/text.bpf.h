/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Texts in the tables of patterns.
 */
#ifndef TPY_TEXT_BPF_H
#define TPY_TEXT_BPF_H

#include "tables.bpf.h"
#include "lib/bound.bpf.h"

/*
 * What the longest pattern of a table that "text" begins with stands for; "miss" if there is none.
 * The 8 bytes before the text serve as the beginning of the key for the time of the look-up, so
 * that no text is copied; TEXT_KEY_BYTES from its start on have to be readable.
 */
static __always_inline __u32 find_text(void *text, __u32 length, __u32 table, __u32 miss)
{
	struct text_key *key = text - offsetof(struct text_key, text);
	__u32 before = key->prefix_bits, between = key->table;
	__u32 *found;

	key->prefix_bits = 8 * (sizeof(key->table) + length);
	key->table = table;
	found = bpf_map_lookup_elem(&texts, key);
	key->prefix_bits = before;
	key->table = between;
	return found ? *found : miss;
}

/* The TEXT_KEY_BYTES that end before "end", reversed, 8 bytes a time. */
static __always_inline void reverse_text(struct text_key *key, const void *end)
{
	int i;

	for (i = 0; i < TEXT_KEY_BYTES / 8; i++)
		*(__u64 *)&key->text[8 * i] = __builtin_bswap64(
			*(const __u64 *)(end - 8 * (i + 1)));
}

#endif
