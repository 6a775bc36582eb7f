// SPDX-License-Identifier: Apache-2.0
/*
 * race_path: three threads open a path for writing and write, one swaps the path between an allowed
 * and a forbidden file. What got through is what stands in the forbidden file; "switched" are
 * those of them where the path was still the allowed one just before the call. See race.h.
 */
#include "race.h"

static char path[PATH_MAX];
static char *first; /* of the file's name */
static ino_t secret;
static atomic_long switched;

static void *swap(void *number)
{
	swap_names((long)number, first, 400);
	return NULL;
}

static void *attack(void *number)
{
	race_thread((long)number);
	while (try_again()) {
		char before = __atomic_load_n(first, __ATOMIC_RELAXED);
		int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0644);

		if (fd < 0) {
			count_error(errno);
			continue;
		}
		switched += before == ALLOWED[0] && inode_of(fd) == secret;
		if (syscall(SYS_write, fd, "x", 1L) != 1)
			count_error(errno);
		syscall(SYS_close, fd);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	char target[PATH_MAX], more[96];
	int allowed, forbidden;

	race_begin(argc, argv);
	allowed = make_file(ALLOWED, 0644);
	forbidden = make_file("draft", 0644); /* and comes to its name without an open */
	snprintf(path, sizeof(path), "%s/draft", race.folder);
	snprintf(target, sizeof(target), "%s/%s", race.folder, FORBIDDEN);
	if (rename(path, target))
		give_up(target);
	strcpy(path, target);
	first = path + strlen(path) - strlen(FORBIDDEN);
	secret = inode_of(forbidden);
	run_threads(swap, attack);
	snprintf(more, sizeof(more), ",\"allowed\":%ld,\"switched\":%ld", size_of(allowed),
		 atomic_load(&switched));
	return race_end(size_of(forbidden), more);
}
