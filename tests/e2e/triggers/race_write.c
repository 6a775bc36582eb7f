// SPDX-License-Identifier: Apache-2.0
/*
 * race_write: three threads write to a descriptor that one thread makes to be an allowed and a
 * forbidden file in turn. What got through is what stands in the forbidden one. See race.h.
 */
#include "race.h"

#define TARGET 100

static int allowed, forbidden;

static void *swap(void *number)
{
	race_thread((long)number);
	while (is_running()) {
		syscall(SYS_dup3, forbidden, TARGET, 0);
		pause_shortly(400);
		syscall(SYS_dup3, allowed, TARGET, 0);
		pause_shortly(400);
	}
	return NULL;
}

static void *attack(void *number)
{
	race_thread((long)number);
	while (try_again())
		if (syscall(SYS_write, TARGET, "x", 1L) != 1)
			count_error(errno);
	return NULL;
}

int main(int argc, char **argv)
{
	char more[64];

	race_begin(argc, argv);
	allowed = make_file(ALLOWED, 0644);
	forbidden = make_file(FORBIDDEN, 0644);
	if (dup3(allowed, TARGET, 0) < 0)
		give_up("dup3");
	run_threads(swap, attack);
	snprintf(more, sizeof(more), ",\"allowed\":%ld", size_of(allowed));
	return race_end(size_of(forbidden), more);
}
