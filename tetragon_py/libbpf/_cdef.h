/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of libbpf (>= 1.1) that Python calls, as cffi reads them, in the order of libbpf.h,
 * bpf.h and btf.h. The C compiler checks each against the real header. _shim.h has the rest.
 */
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;

/* bpf/libbpf.h */
struct bpf_object;
struct bpf_program;
struct bpf_map;
struct bpf_link;

__u32 libbpf_major_version(void);
__u32 libbpf_minor_version(void);
int libbpf_num_possible_cpus(void);

int bpf_object__load(struct bpf_object *object);
void bpf_object__close(struct bpf_object *object);
struct bpf_map *bpf_object__next_map(const struct bpf_object *object, const struct bpf_map *map);
struct bpf_program *bpf_object__next_program(const struct bpf_object *object,
					     struct bpf_program *program);

const char *bpf_program__name(const struct bpf_program *program);
const char *bpf_program__section_name(const struct bpf_program *program);
int bpf_program__set_autoload(struct bpf_program *program, bool autoload);
bool bpf_program__autoload(const struct bpf_program *program);
int bpf_program__fd(const struct bpf_program *program);
struct bpf_link *bpf_program__attach(const struct bpf_program *program);
struct bpf_link *bpf_program__attach_kprobe(const struct bpf_program *program, bool retprobe,
					    const char *function);
struct bpf_link *bpf_program__attach_tracepoint(const struct bpf_program *program,
						const char *category, const char *name);
struct bpf_link *bpf_program__attach_raw_tracepoint(const struct bpf_program *program,
						    const char *name);
int bpf_program__set_attach_target(struct bpf_program *program, int attach_program_fd,
				   const char *function);

struct bpf_link *bpf_link__open(const char *path);
int bpf_link__fd(const struct bpf_link *link);
int bpf_link__destroy(struct bpf_link *link);

const char *bpf_map__name(const struct bpf_map *map);
int bpf_map__fd(const struct bpf_map *map);
__u32 bpf_map__key_size(const struct bpf_map *map);
__u32 bpf_map__value_size(const struct bpf_map *map);
__u32 bpf_map__max_entries(const struct bpf_map *map);
int bpf_map__set_max_entries(struct bpf_map *map, __u32 max_entries);
int bpf_map__set_value_size(struct bpf_map *map, __u32 size);
int bpf_map__set_autocreate(struct bpf_map *map, bool autocreate);
int bpf_map__reuse_fd(struct bpf_map *map, int fd);
int bpf_map__set_pin_path(struct bpf_map *map, const char *path);
void *bpf_map__initial_value(struct bpf_map *map, size_t *size);

/* bpf/bpf.h */
int bpf_map_lookup_elem(int fd, const void *key, void *value);
int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags);
int bpf_map_lookup_and_delete_elem(int fd, const void *key, void *value);
int bpf_map_delete_elem(int fd, const void *key);
int bpf_map_get_next_key(int fd, const void *key, void *next_key);
int bpf_obj_pin(int fd, const char *path);
int bpf_obj_get(const char *path);
int bpf_iter_create(int link_fd);
int bpf_raw_tracepoint_open(const char *name, int program_fd);
int bpf_enable_stats(int type);

/* bpf/btf.h */
struct btf;
struct btf_type;

struct btf *btf__parse_split(const char *path, struct btf *base_btf);
void btf__free(struct btf *btf);
__u32 btf__type_cnt(const struct btf *btf);
const struct btf_type *btf__type_by_id(const struct btf *btf, __u32 id);
const char *btf__str_by_offset(const struct btf *btf, __u32 offset);
