/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of _shim.c and _ring.c: read by them, and by cffi next to _cdef.h.
 */
#ifndef TPY_SHIM_H
#define TPY_SHIM_H

#if !defined(TPY_CDEF) /* cffi has these from _cdef.h */
#include <bpf/btf.h>
#include <linux/types.h>
#include <stddef.h>

struct bpf_object;
struct bpf_map;
#endif

/* objects, maps, programs: libbpf's functions that take option structs */
struct bpf_object *tpy_object_open(const void *image, size_t size, const char *name);
int tpy_object_variable(struct bpf_object *object, const char *section, const char *name,
			__u32 *offset, __u32 *size);
int tpy_map_type(const struct bpf_map *map);
int tpy_map_lookup_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values,
			 __u32 *count);
int tpy_map_update_batch(int fd, const void *keys, const void *values, __u32 *count);
int tpy_map_create(int type, __u32 key_size, __u32 value_size, __u32 max_entries);
int tpy_wait_for_programs(void);
int tpy_program_load(int type, int expected_attach_type, __u32 attach_btf_id, int attach_btf_fd,
		     const void *instructions, size_t count, __u32 flags, char *log,
		     __u32 log_size);
int tpy_link_create(int program_fd, int target_fd, int attach_type);
int tpy_test_run(int program_fd, const void *context, __u32 context_size, __u32 *result);

struct tpy_program_info {
	__u64 run_time_ns;
	__u64 run_count;
	__u64 recursion_misses;
	__u32 verified_instructions;
	__u32 id;
	__u64 tag; /* SHA-1 of the program, its first 8 bytes */
};
int tpy_program_info(int fd, struct tpy_program_info *info);
int tpy_bpf(int command, void *attributes, __u32 size);
int tpy_perf_event(int type, __u64 config, const char *name, __u64 offset, int pid);

/* the kernel's BTF */
int tpy_btf_load_kernel(void);
__s32 tpy_btf_find(const char *name, int kind);
int tpy_btf_function_arguments(const char *name);
struct btf *tpy_btf_kernel(void);

/* names of BTF types */
struct tpy_names;
struct tpy_names *tpy_names_new(const struct btf *btf, __u32 first);
void tpy_names_free(struct tpy_names *names);
__s32 tpy_names_find(const struct tpy_names *names, const char *name, int kind);
size_t tpy_btf_names(const struct btf *btf, __u32 first, int kind, const char *prefix, char *out,
		     size_t size);

/* libbpf's messages */
void tpy_log_start(void);
size_t tpy_log_take(char *out, size_t size);
size_t tpy_log_size(void);

/* the consumer of a ring buffer */
struct tpy_ring;
struct tpy_batch {
	__u64 position; /* to commit when these records are dealt with */
	__u32 count;	/* records */
	__u32 bytes;	/* of them, in the buffer */
	__u64 gaps;	/* numbers that are missing between them */
	__u64 damaged;	/* records that could not be read */
};
struct tpy_ring *tpy_ring_open(int map_fd, __u64 size, int *error);
void tpy_ring_close(struct tpy_ring *ring);
void tpy_ring_peek(struct tpy_ring *ring, __u64 end, void *buffer, __u32 buffer_size, __u32 *index,
		   __u32 index_size, struct tpy_batch *batch);
void tpy_ring_commit(struct tpy_ring *ring, __u64 position);
__u64 tpy_ring_produced(const struct tpy_ring *ring);
__u64 tpy_ring_committed(const struct tpy_ring *ring);

#endif
