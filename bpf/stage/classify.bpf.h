/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which selectors match: one look-up per dimension, AND of the vectors. The cost depends on the
 * dimensions of the hook, not on the number of its policies.
 */
#ifndef TPY_CLASSIFY_BPF_H
#define TPY_CLASSIFY_BPF_H

#include "hit.bpf.h"
#include "stage/classify_value.bpf.h"
#include "tables.bpf.h"
#include "lib/text.bpf.h"

#define BOUND_STEPS 17 /* of a binary search: 2^17 rows */
#define SEARCH_STEP 32 /* bytes of a substring search per call */
#define SIGN_BIT (1ULL << 63)

const volatile __u32 has_long_texts = 1; /* 0: this kernel's hash keys end at 512 bytes */

static const __u8 zeros[LONG_TEXT_BYTES];

/* Keep in "matched" what vector "number" has too. Returns whether any selector is left. */
static __always_inline int keep_vector(struct hit *hit, __u32 words, __u32 number)
{
	struct vector *vector = bpf_map_lookup_elem(&vectors, &number);
	__u64 left = 0;
	__u32 i;

	if (!vector)
		return 0;
	for (i = 0; i < VECTOR_WORDS; i++) {
		if (i >= words)
			break;
		hit->matched.words[i] &= vector->words[i];
		left |= hit->matched.words[i];
	}
	return left != 0;
}

/* Add vector "number" to "collected". */
__noinline int collect_vector(__u32 number)
{
	struct vector *vector = bpf_map_lookup_elem(&vectors, &number);
	struct hit *hit = hit_get();
	int i;

	if (!hit || !vector)
		return 0;
	for (i = 0; i < VECTOR_WORDS; i++)
		hit->collected.words[i] |= vector->words[i];
	return 0;
}

/* Keep what is in "miss" or, "negative", what is not in "collected". */
static __always_inline int keep_collected(struct hit *hit, __u32 words, __u32 miss, bool negative)
{
	struct vector *vector = bpf_map_lookup_elem(&vectors, &miss);
	__u64 left = 0;
	__u32 i;

	if (!vector)
		return 0;
	for (i = 0; i < VECTOR_WORDS; i++) {
		if (i >= words)
			break;
		if (negative)
			hit->matched.words[i] &= vector->words[i] & ~hit->collected.words[i];
		else
			hit->matched.words[i] &= vector->words[i] | hit->collected.words[i];
		left |= hit->matched.words[i];
	}
	return left != 0;
}

/* The vector of the last row whose low is not above "value". */
static __always_inline __u32 find_bound(const struct dimension *dimension, __u64 value)
{
	__u32 first = dimension->table, count = dimension->count;
	struct bound *bound;
	int i;

	for (i = 0; i < BOUND_STEPS; i++) {
		__u32 middle = first + count / 2;

		if (count <= 1)
			break;
		bound = bpf_map_lookup_elem(&bounds, &middle);
		if (!bound)
			return dimension->error;
		if (bound->low <= value) {
			first = middle;
			count -= count / 2;
		} else {
			count /= 2;
		}
	}
	bound = bpf_map_lookup_elem(&bounds, &first);
	return bound ? bound->vector : dimension->error;
}

/* Collect the vectors of the bits of "value". */
static __always_inline void collect_bits(const struct dimension *dimension, __u64 value)
{
	__u32 i;

	for (i = 0; i < 64; i++) {
		__u32 row = dimension->table + i;
		struct bound *bound;

		if (i >= dimension->count)
			break;
		bound = bpf_map_lookup_elem(&bounds, &row);
		if (bound && (value >> (bound->low & 63)) & 1)
			collect_vector(bound->vector);
	}
}

__noinline int classify_number(__u32 number)
{
	struct hit *hit = hit_get();
	const struct dimension *dimension;
	const struct hook_config *config;
	__u64 value = 0;

	if (!hit)
		return 0;
	config = bpf_map_lookup_elem(&hook_configs, &hit->config);
	if (!config || number >= DIMENSIONS_MAX)
		return 0;
	dimension = &config->dimension[number];
	if (read_number(hit, dimension, &value))
		return keep_vector(hit, config->words, dimension->error);
	if (dimension->kind == DIMENSION_RANGE) {
		if (dimension->flags & DIMENSION_SIGNED)
			value ^= SIGN_BIT;
		return keep_vector(hit, config->words, find_bound(dimension, value));
	}
	if (dimension->kind == DIMENSION_CLASS) {
		__u32 row = dimension->table + value, *found;

		found = value < dimension->count ? bpf_map_lookup_elem(&rows, &row) : 0;
		return keep_vector(hit, config->words, found ? *found : dimension->miss);
	}
	__builtin_memset(&hit->collected, 0, sizeof(hit->collected));
	collect_bits(dimension, value);
	return keep_collected(hit, config->words, dimension->miss,
			      dimension->kind == DIMENSION_NO_BITS);
}

/* Reverse the end of the text that ends "end" bytes after the start of the hit. */
static __always_inline void reverse_argument(struct hit *hit, __u64 end)
{
	if (IS_OUTSIDE(end, TEXT_KEY_BYTES,
		       offsetof(struct hit, bytes) + ARGUMENTS_BYTES_MAX + ARGUMENT_TEXT_MAX))
		return;
	reverse_text((struct text_key *)&hit->key, (void *)hit + end);
}

/* The whole text as a key: a hash wants defined bytes behind it. */
static __always_inline __u32 find_whole_text(struct hit *hit, const void *text, __u32 length,
					     const struct dimension *dimension)
{
	__u32 *found = 0;

	if (length > LONG_TEXT_BYTES)
		return dimension->miss;
	hit->key.table = dimension->table;
	hit->key.length = length;
	if (length <= SHORT_TEXT_BYTES) {
		bpf_probe_read_kernel(hit->key.text, SHORT_TEXT_BYTES, zeros);
		bpf_probe_read_kernel(hit->key.text, CLAMP_SIZE(length, SHORT_TEXT_BYTES), text);
		found = bpf_map_lookup_elem(&short_texts, &hit->key);
	} else if (has_long_texts) {
		bpf_probe_read_kernel(hit->key.text, LONG_TEXT_BYTES, zeros);
		bpf_probe_read_kernel(hit->key.text, CLAMP_SIZE(length, LONG_TEXT_BYTES), text);
		found = bpf_map_lookup_elem(&long_texts, &hit->key);
	}
	return found ? *found : dimension->miss;
}

/* Feed SEARCH_STEP bytes to the automaton; what is found on the way is collected. */
__noinline int search_on(__u32 table)
{
	struct hit *hit = hit_get();
	__u32 state;
	__u64 at;
	int i;

	if (!hit)
		return 0;
	at = hit->search_at;
	state = hit->search_state;
	for (i = 0; i < SEARCH_STEP; i++) {
		__u32 row = table + state;
		struct automaton_state *found = bpf_map_lookup_elem(&automata, &row);

		KEEP(at);
		if (!found || at >= hit->search_end ||
		    at >= ARGUMENTS_BYTES_MAX + ARGUMENT_TEXT_MAX)
			break;
		state = found->next[hit->bytes[at]];
		at++;
		row = table + state;
		found = bpf_map_lookup_elem(&automata, &row);
		if (found && found->found)
			collect_vector(found->found);
	}
	hit->search_at = at;
	hit->search_state = state;
	return at < hit->search_end;
}

static __always_inline void search_text(struct hit *hit, __u32 table, __u32 at, __u32 length)
{
	int i;

	__builtin_memset(&hit->collected, 0, sizeof(hit->collected));
	hit->search_at = at;
	hit->search_end = at + CLAMP_SIZE(length, SUBSTRING_BYTES_MAX);
	hit->search_state = 0;
	for (i = 0; i < SUBSTRING_BYTES_MAX / SEARCH_STEP; i++)
		if (!search_on(table))
			break;
}

__noinline int classify_text(__u32 number)
{
	struct hit *hit = hit_get();
	const struct dimension *dimension;
	const struct hook_config *config;
	__u32 length, found;
	enum cut cut;
	__u64 at;

	if (!hit)
		return 0;
	config = bpf_map_lookup_elem(&hook_configs, &hit->config);
	if (!config || number >= DIMENSIONS_MAX)
		return 0;
	dimension = &config->dimension[number];
	if (find_value(hit, dimension, &at, &length))
		return keep_vector(hit, config->words, dimension->error);
	cut = find_cut(hit, dimension);
	if ((dimension->kind == DIMENSION_TEXT && cut == CUT_FRONT) ||
	    (dimension->kind == DIMENSION_TEXT_END && cut == CUT_END) ||
	    (dimension->kind == DIMENSION_TEXT_WHOLE && cut != CUT_NOWHERE))
		return keep_vector(hit, config->words, dimension->error);
	switch (dimension->kind) {
	case DIMENSION_TEXT:
		/* with the NUL behind it, which the patterns of Equal have */
		found = find_text(&hit->bytes[at], CLAMP_SIZE(length + 1, TEXT_KEY_BYTES),
				  dimension->table, dimension->miss);
		break;
	case DIMENSION_TEXT_END:
		reverse_argument(hit, offsetof(struct hit, bytes) + at + length);
		found = find_text(hit->key.text, CLAMP_SIZE(length, TEXT_KEY_BYTES),
				  dimension->table, dimension->miss);
		break;
	case DIMENSION_TEXT_WHOLE:
		found = find_whole_text(hit, &hit->bytes[at], length, dimension);
		break;
	default:
		search_text(hit, dimension->table, at, length);
		return keep_collected(hit, config->words, dimension->miss,
				      dimension->kind == DIMENSION_NO_SUBSTRING);
	}
	return keep_vector(hit, config->words, found);
}

__noinline int classify_address(__u32 number)
{
	struct hit *hit = hit_get();
	const struct dimension *dimension;
	const struct hook_config *config;
	struct address_key key = {};
	__u32 length, *found;
	__u64 at, sock;
	__u16 family;

	if (!hit)
		return 0;
	config = bpf_map_lookup_elem(&hook_configs, &hit->config);
	if (!config || number >= DIMENSIONS_MAX)
		return 0;
	dimension = &config->dimension[number];
	sock = hit->at[MASK_INDEX(dimension->slot, HOOK_ARGUMENTS_MAX)];
	KEEP(sock);
	if (find_value(hit, dimension, &at, &length) || sock > ARGUMENTS_BYTES_MAX)
		return keep_vector(hit, config->words, dimension->error);
	family = *(__u16 *)&hit->bytes[sock + offsetof(struct argument_sock, family)];
	__builtin_memcpy(key.address, &hit->bytes[at], sizeof(key.address));
	key.table = dimension->table + (family == AF_INET6);
	key.prefix_bits = 8 * (sizeof(key.table) + (family == AF_INET6 ? 16 : 4));
	found = family == AF_INET || family == AF_INET6 ? bpf_map_lookup_elem(&addresses, &key) : 0;
	return keep_vector(hit, config->words, found ? *found : dimension->miss);
}

/* One dimension of the hook. Returns whether any selector is left. */
__noinline int classify_dimension(__u32 number)
{
	const struct hook_config *config;
	struct hit *hit = hit_get();

	if (!hit)
		return 0;
	config = bpf_map_lookup_elem(&hook_configs, &hit->config);
	if (!config || number >= DIMENSIONS_MAX)
		return 0;
	switch (config->dimension[number].kind) {
	case DIMENSION_RANGE:
	case DIMENSION_BITS:
	case DIMENSION_NO_BITS:
	case DIMENSION_CLASS:
		return classify_number(number);
	case DIMENSION_ADDRESS:
		return classify_address(number);
	}
	return classify_text(number);
}

/* Dimensions "first" to "last" of the hook. Returns whether any selector is left. */
__noinline int classify(__u32 first, __u32 last)
{
	__u32 i;

	for (i = 0; i < DIMENSIONS_MAX; i++) {
		__u32 number = first + i;

		if (number >= last)
			break;
		if (!classify_dimension(number))
			return 0;
	}
	return 1;
}

#endif
