// SPDX-License-Identifier: Apache-2.0
/*
 * race_cold: the path is in a file's page that is not mapped when the call is made, so that who may
 * not fault cannot read it; half of the paths begin in a page that is there and end in one that is
 * not. What got through is what stands in the forbidden file; "cold" tells how many pages were
 * really absent. See race.h.
 */
#include "race.h"
#include <sys/mman.h>

#define PAGE 4096
#define ABSENT_MAX 16 /* pages that one fault maps around itself */
#define STRIDE (2 * ABSENT_MAX * PAGE)

static char *pages;
static int source, forbidden;
static char target[PATH_MAX];
static atomic_long cold;

/* Bit 63 of a page's entry: it is there. */
static int is_absent(int pagemap, const char *at)
{
	unsigned long entry = 0;

	if (pread(pagemap, &entry, sizeof(entry), (unsigned long)at / PAGE * sizeof(entry)) !=
	    sizeof(entry))
		return 0;
	return !(entry >> 63);
}

static void *attack(void *number)
{
	char *own = pages + (long)number * STRIDE, *last = own + STRIDE / 2;
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), fd, is_split;
	long tries = 0;

	race_thread((long)number);
	while (try_again()) {
		/* at the start of the second half's page, or across its start */
		is_split = tries++ & 1;
		const char *path = last + (is_split ? PAGE * 2 - (long)strlen(target) / 2 : 0);

		madvise(own, STRIDE, MADV_DONTNEED);
		posix_fadvise(source, own - pages, STRIDE, POSIX_FADV_DONTNEED);
		if (is_split)
			*(volatile const char *)path; /* maps what is around, too */
		madvise(last + (is_split ? PAGE * 2 : 0), PAGE, MADV_DONTNEED);
		cold += is_absent(pagemap, path + strlen(target) - 1);
		fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND);
		if (fd < 0) {
			count_error(errno);
			continue;
		}
		if (syscall(SYS_write, fd, "x", 1L) != 1)
			count_error(errno);
		syscall(SYS_close, fd);
	}
	close(pagemap);
	return NULL;
}

int main(int argc, char **argv)
{
	char draft[PATH_MAX], more[64];
	long length;

	race_begin(argc, argv);
	forbidden = make_file("draft", 0644);
	snprintf(draft, sizeof(draft), "%s/draft", race.folder);
	snprintf(target, sizeof(target), "%s/%s", race.folder, FORBIDDEN);
	if (rename(draft, target))
		give_up(target);
	length = strlen(target);
	snprintf(draft, sizeof(draft), "%s/source", race.folder);
	source = open(draft, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	if (source < 0 || ftruncate(source, (long)THREADS * STRIDE))
		give_up(draft);
	for (long i = 0; i < THREADS; i++) {
		long last = i * STRIDE + STRIDE / 2;

		if (pwrite(source, target, length + 1, last) < 0 ||
		    pwrite(source, target, length + 1, last + PAGE * 2 - length / 2) < 0)
			give_up(draft);
	}
	fsync(source); /* dirty pages would stay */
	pages = mmap(NULL, (long)THREADS * STRIDE, PROT_READ, MAP_SHARED, source, 0);
	if (pages == MAP_FAILED)
		give_up("mmap");
	run_threads(NULL, attack);
	snprintf(more, sizeof(more), ",\"cold\":%ld", atomic_load(&cold));
	return race_end(size_of(forbidden), more);
}
