// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The capture stage as BPF_PROG_TEST_RUN asks for, and where things of the kernel are that it can
 * be shown: those of the running process, and "memory", kernel memory that the test writes.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"
#include "abi/policy.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TIMES 64

/* Those of tables.bpf.h that the stage needs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct hook_config);
} hook_configs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct resolve_step);
} steps SEC(".maps");

#include "lib/file.bpf.h"
#include "stage/capture.bpf.h"

/* Addresses and offsets; the test has the same names in the same order. */
struct known {
	__u64 memory;
	__u64 task;
	__u64 file; /* of a descriptor */
	__u64 file_private;
	__u64 file_path;
	__u64 file_dentry;
	__u64 task_cred;
	__u64 task_tgid;
	__u64 cred_user_ns;
	__u64 cred_cap_effective;
	__u64 user_ns_parent;
	__u64 filename_name;
	__u64 kiocb_filp;
	__u64 binprm_file;
	__u64 net_device_name;
	__u64 iter_type;
	__u64 iter_offset;
	__u64 iter_count;
	__u64 iter_vectors;
	__u64 iter_segments;
	__u64 iter_buffer; /* 0: this kernel has no such kind */
	__u64 iter_ubuf;   /* the numbers of the kinds */
	__u64 iter_iovec;
	__u64 iter_kvec;
	__u64 iter_bvec;
	__u64 socket_sk; /* of the descriptor, if it is a socket */
	__u64 first_skb; /* that it has received */
};

/* What the hit has after it. */
struct record {
	__u32 used;
	__u32 flags;
	__u32 arguments;
	__u32 _pad;
	__u32 at[HOOK_ARGUMENTS_MAX];
	__u8 bytes[ARGUMENTS_BYTES_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct known);
} known SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 16384);
} memory SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} record SEC(".maps");

struct arguments {
	__u64 raw[REGISTERS];
	__u64 result;
	__u64 context;
	__u64 want;
	__u64 unwanted;
};

static __always_inline void begin(struct hit *hit)
{
	hit->config = 1;
	hit->used = 0;
	hit->event.flags = 0;
	hit->event.arguments = 0;
	__builtin_memset(hit->at, 0, sizeof(hit->at));
}

SEC("raw_tp")
int capture(const struct arguments *arguments)
{
	const struct hook_config *config;
	struct hit *hit = hit_get();
	__u32 zero = 0, one = 1;
	struct record *out = bpf_map_lookup_elem(&record, &zero);

	config = bpf_map_lookup_elem(&hook_configs, &one);
	if (!hit || !config || !out)
		return -1;
	begin(hit);
	__builtin_memcpy(hit->raw, arguments->raw, sizeof(arguments->raw));
	hit->result = arguments->result;
	hit->context = arguments->context;
	capture_arguments(hit, config, arguments->want, arguments->unwanted);
	out->used = hit->used;
	out->flags = hit->event.flags;
	out->arguments = hit->event.arguments;
	bpf_probe_read_kernel(out->at, sizeof(out->at), hit->at);
	bpf_probe_read_kernel(out->bytes, sizeof(out->bytes), hit->bytes);
	return 0;
}

/* The same TIMES times. Returns how many ns all took. */
SEC("?raw_tp")
int measure(const struct arguments *arguments)
{
	const struct hook_config *config;
	struct hit *hit = hit_get();
	__u64 start;
	__u32 one = 1;
	int i;

	config = bpf_map_lookup_elem(&hook_configs, &one);
	if (!hit || !config)
		return -1;
	__builtin_memcpy(hit->raw, arguments->raw, sizeof(arguments->raw));
	start = bpf_ktime_get_ns();
	for (i = 0; i < TIMES; i++) {
		begin(hit);
		if (arguments->want)
			capture_argument(0);
		if (arguments->want > 1)
			capture_argument(1);
		if (arguments->want > 2)
			capture_argument(2);
	}
	return bpf_ktime_get_ns() - start;
}

#define OFFSET(type, member) bpf_core_field_offset(struct type, member)

static __always_inline void look_at_iter(struct known *out)
{
	struct iov_iter *iter = 0;

	if (bpf_core_field_exists(iter->iter_type))
		out->iter_type = OFFSET(iov_iter, iter_type);
	else
		out->iter_type = OFFSET(iov_iter___before_5_14, type);
	if (bpf_core_field_exists(iter->__iov))
		out->iter_vectors = OFFSET(iov_iter, __iov);
	else
		out->iter_vectors = OFFSET(iov_iter___before_6_4, iov);
	if (bpf_core_field_exists(iter->ubuf)) {
		out->iter_buffer = OFFSET(iov_iter, ubuf);
		out->iter_ubuf = bpf_core_enum_value(enum iter_type, ITER_UBUF);
	}
	out->iter_offset = OFFSET(iov_iter, iov_offset);
	out->iter_count = OFFSET(iov_iter, count);
	out->iter_segments = OFFSET(iov_iter, nr_segs);
	out->iter_iovec = bpf_core_enum_value(enum iter_type, ITER_IOVEC);
	out->iter_kvec = bpf_core_enum_value(enum iter_type, ITER_KVEC);
	out->iter_bvec = bpf_core_enum_value(enum iter_type, ITER_BVEC);
}

/* Fills "known" for the descriptor that is the first argument. */
SEC("raw_tp")
int look(const __u64 *arguments)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *file = file_of_descriptor(arguments[0]);
	struct socket *socket;
	struct sock *sock;
	__u32 zero = 0;
	struct known *out = bpf_map_lookup_elem(&known, &zero);

	if (!out)
		return -1;
	socket = BPF_CORE_READ(file, private_data);
	sock = BPF_CORE_READ(socket, sk);
	out->memory = (__u64)bpf_map_lookup_elem(&memory, &zero);
	out->task = (__u64)task;
	out->file = (__u64)file;
	out->file_private = (__u64)socket;
	out->file_path = (__u64)&file->f_path;
	out->file_dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
	out->task_cred = OFFSET(task_struct, cred);
	out->task_tgid = OFFSET(task_struct, tgid);
	out->cred_user_ns = OFFSET(cred, user_ns);
	out->cred_cap_effective = OFFSET(cred, cap_effective);
	out->user_ns_parent = OFFSET(user_namespace, parent);
	out->filename_name = OFFSET(filename, name);
	out->kiocb_filp = OFFSET(kiocb, ki_filp);
	out->binprm_file = OFFSET(linux_binprm, file);
	out->net_device_name = OFFSET(net_device, name);
	out->socket_sk = (__u64)sock;
	out->first_skb = (__u64)BPF_CORE_READ(sock, sk_receive_queue.next);
	look_at_iter(out);
	return 0;
}
