/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Python cannot do over libbpf: take a va_list, fill in libbpf's option structs, read BTF's
 * inline layouts, and consume a ring buffer a batch at a time.
 */
#define _GNU_SOURCE
#include "_shim.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- libbpf's messages: gathered here, taken by Python after the call ---- */

#define LOG_MAX (32U << 20) /* a verifier log is at most 16 MiB */

static struct {
	pthread_mutex_t lock;
	char *text;
	size_t used, room;
} messages = { .lock = PTHREAD_MUTEX_INITIALIZER };

static char *messages_reserve(size_t more)
{
	size_t room = messages.room ? messages.room : 4096;
	char *text;

	if (messages.used + more > LOG_MAX)
		return NULL;
	while (room < messages.used + more)
		room *= 2;
	if (room != messages.room) {
		text = realloc(messages.text, room);
		if (!text)
			return NULL;
		messages.text = text;
		messages.room = room;
	}
	return messages.text + messages.used;
}

/* One message: a character for the level, the text, a NUL. */
static int messages_add(enum libbpf_print_level level, const char *format, va_list arguments)
{
	va_list copy;
	int length;
	char *out;

	va_copy(copy, arguments);
	length = vsnprintf(NULL, 0, format, copy);
	va_end(copy);
	if (length < 0)
		return 0;
	pthread_mutex_lock(&messages.lock);
	out = messages_reserve((size_t)length + 2);
	if (out) {
		out[0] = (char)('0' + level);
		vsnprintf(out + 1, (size_t)length + 1, format, arguments);
		messages.used += (size_t)length + 2;
	}
	pthread_mutex_unlock(&messages.lock);
	return 0;
}

void tpy_log_start(void)
{
	libbpf_set_print(messages_add);
}

size_t tpy_log_size(void)
{
	return messages.used;
}

size_t tpy_log_take(char *out, size_t size)
{
	pthread_mutex_lock(&messages.lock);
	if (size > messages.used)
		size = messages.used;
	memcpy(out, messages.text, size);
	free(messages.text);
	messages.text = NULL;
	messages.used = messages.room = 0;
	pthread_mutex_unlock(&messages.lock);
	return size;
}

/* ---- objects and maps ---- */

struct bpf_object *tpy_object_open(const void *image, size_t size, const char *name)
{
	/*
	 * Left to itself, libbpf looks for types that vmlinux lacks in all modules, for which it
	 * needs CAP_SYS_ADMIN (and fails without it up to its version 1.2). Nothing of ours is
	 * in a module.
	 */
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name,
		    .btf_custom_path = "/sys/kernel/btf/vmlinux");

	return bpf_object__open_mem(image, size, &options);
}

/* Where the global variable "name" is in its data section. Returns 0 or -ENOENT. */
int tpy_object_variable(struct bpf_object *object, const char *section, const char *name,
			__u32 *offset, __u32 *size)
{
	const struct btf *btf = bpf_object__btf(object);
	int id = btf ? btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC) : -ENOENT;
	const struct btf_type *data;
	const struct btf_var_secinfo *variable;
	int i;

	if (id < 0)
		return id;
	data = btf__type_by_id(btf, id);
	variable = btf_var_secinfos(data);
	for (i = 0; i < btf_vlen(data); i++, variable++) {
		const struct btf_type *type = btf__type_by_id(btf, variable->type);

		if (strcmp(btf__name_by_offset(btf, type->name_off), name))
			continue;
		*offset = variable->offset;
		*size = variable->size;
		return 0;
	}
	return -ENOENT;
}

int tpy_map_type(const struct bpf_map *map)
{
	return bpf_map__type(map);
}

int tpy_map_lookup_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values,
			 __u32 *count)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);

	return bpf_map_lookup_batch(fd, in_batch, out_batch, keys, values, count, &options);
}

int tpy_map_update_batch(int fd, const void *keys, const void *values, __u32 *count)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);

	return bpf_map_update_batch(fd, keys, values, count, &options);
}

int tpy_map_create(int type, __u32 key_size, __u32 value_size, __u32 max_entries)
{
	return bpf_map_create(type, NULL, key_size, value_size, max_entries, NULL);
}

/*
 * Returns after an RCU grace period: no program that ran before still runs. membarrier(2) waits for
 * one, but on a single CPU it need not; there two sleeps let every other task run.
 */
int tpy_wait_for_programs(void)
{
	struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

	if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		return -errno;
	if (sysconf(_SC_NPROCESSORS_ONLN) == 1)
		nanosleep(&pause, NULL);
	return 0;
}

/* ---- programs and links, for probes and tests ---- */

int tpy_program_load(int type, int expected_attach_type, __u32 attach_btf_id, int attach_btf_fd,
		     const void *instructions, size_t count, __u32 flags, char *log, __u32 log_size)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = expected_attach_type,
		    .attach_btf_id = attach_btf_id, .attach_btf_obj_fd = attach_btf_fd,
		    .prog_flags = flags, .log_buf = log, .log_size = log_size,
		    .log_level = log_size ? 1 : 0);

	return bpf_prog_load(type, "probe", "Dual BSD/GPL", instructions, count, &options);
}

int tpy_link_create(int program_fd, int target_fd, int attach_type)
{
	return bpf_link_create(program_fd, target_fd, attach_type, NULL);
}

int tpy_test_run(int program_fd, const void *context, __u32 context_size, __u32 *result)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = context, .ctx_size_in = context_size);
	int error = bpf_prog_test_run_opts(program_fd, &options);

	*result = options.retval;
	return error;
}

int tpy_program_info(int fd, struct tpy_program_info *out)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	int error = bpf_obj_get_info_by_fd(fd, &info, &size);

	if (error)
		return error;
	out->run_time_ns = info.run_time_ns;
	out->run_count = info.run_cnt;
	out->recursion_misses = info.recursion_misses;
	out->verified_instructions = info.verified_insns;
	out->id = info.id;
	memcpy(&out->tag, info.tag, sizeof(out->tag));
	return 0;
}

/* bpf(2) itself, for commands and attach types that libbpf 1.1 does not know */
int tpy_bpf(int command, void *attributes, __u32 size)
{
	long result = syscall(SYS_bpf, command, attributes, size);

	return result < 0 ? -errno : (int)result;
}

/*
 * "type": of a PMU; "config": a tracepoint's number, or 1 for the return; "name" and "offset": the
 * symbol or file of a probe; "pid": 0 for this thread, or -1 for all (on one CPU, which is enough
 * for BPF to run on all).
 */
int tpy_perf_event(int type, __u64 config, const char *name, __u64 offset, int pid)
{
	struct perf_event_attr attributes = {
		.size = sizeof(attributes),
		.type = type,
		.config = config,
		.config1 = (__u64)(unsigned long)name,
		.config2 = offset,
	};
	long fd = syscall(SYS_perf_event_open, &attributes, pid, pid < 0 ? 0 : -1, -1,
			  PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

/* ---- the kernel's BTF ---- */

static struct btf *kernel_btf;

int tpy_btf_load_kernel(void)
{
	if (!kernel_btf)
		kernel_btf = btf__load_vmlinux_btf();
	return kernel_btf ? 0 : -errno;
}

__s32 tpy_btf_find(const char *name, int kind)
{
	return kernel_btf ? btf__find_by_name_kind(kernel_btf, name, kind) : -ENOENT;
}

struct btf *tpy_btf_kernel(void)
{
	return kernel_btf;
}

/* The number of arguments of a kernel function, or -ENOENT. */
int tpy_btf_function_arguments(const char *name)
{
	__s32 id = tpy_btf_find(name, BTF_KIND_FUNC);

	if (id < 0)
		return id;
	return btf_vlen(btf__type_by_id(kernel_btf, btf__type_by_id(kernel_btf, id)->type));
}

/* ---- names of BTF types: libbpf looks at one type after the other, up to 5 ms for each name ---- */

struct tpy_names {
	const struct btf *btf;
	__u32 mask;
	__u32 slots[]; /* numbers of types, by hash of their name; 0: free */
};

static __u32 hash_name(const char *name)
{
	__u32 hash = 2166136261U; /* FNV-1a */

	while (*name)
		hash = (hash ^ (__u8)*name++) * 16777619U;
	return hash ^ hash >> 15;
}

static const char *type_name(const struct btf *btf, __u32 id)
{
	return btf__name_by_offset(btf, btf__type_by_id(btf, id)->name_off);
}

/* Of the types from number "first" on. Returns NULL without memory. */
struct tpy_names *tpy_names_new(const struct btf *btf, __u32 first)
{
	__u32 end = btf__type_cnt(btf), room = 64, id, slot;
	struct tpy_names *names;

	while (room < (end - first) / 2 * 3) /* not all have a name */
		room *= 2;
	names = calloc(1, sizeof(*names) + room * sizeof(names->slots[0]));
	if (!names)
		return NULL;
	names->btf = btf;
	names->mask = room - 1;
	for (id = first; id < end; id++) {
		const char *name = type_name(btf, id);

		if (!*name)
			continue;
		slot = hash_name(name) & names->mask;
		while (names->slots[slot])
			slot = (slot + 1) & names->mask;
		names->slots[slot] = id;
	}
	return names;
}

void tpy_names_free(struct tpy_names *names)
{
	free(names);
}

/* The lowest number of a type of that name and kind, or -ENOENT. */
__s32 tpy_names_find(const struct tpy_names *names, const char *name, int kind)
{
	__u32 slot = hash_name(name) & names->mask, id;

	for (; (id = names->slots[slot]); slot = (slot + 1) & names->mask)
		if (btf_kind(btf__type_by_id(names->btf, id)) == kind &&
		    !strcmp(type_name(names->btf, id), name))
			return (__s32)id;
	return -ENOENT;
}

/*
 * Writes the names of a kind that begin with "prefix", each with its NUL, as far as they fit.
 * Returns the size that all would need.
 */
size_t tpy_btf_names(const struct btf *btf, __u32 first, int kind, const char *prefix, char *out,
		     size_t size)
{
	size_t used = 0, length, begin = strlen(prefix);
	__u32 end = btf__type_cnt(btf), id;

	for (id = first; id < end; id++) {
		const char *name;

		if (btf_kind(btf__type_by_id(btf, id)) != kind)
			continue;
		name = type_name(btf, id);
		if (strncmp(name, prefix, begin))
			continue;
		length = strlen(name) + 1;
		if (used + length <= size)
			memcpy(out + used, name, length);
		used += length;
	}
	return used;
}
