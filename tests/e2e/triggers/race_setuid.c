// SPDX-License-Identifier: Apache-2.0
/*
 * race_setuid: four threads that gave up root, but for the saved id, try to have it back by
 * setuid(0), each for itself: raw calls change one thread only. What got through is what geteuid
 * says afterwards. Giving up is setresuid(1234, 1234, 0). See race.h.
 */
#include "race.h"

#define ANYBODY 1234

static atomic_long through, lies;

static void *attack(void *number)
{
	race_thread((long)number);
	while (try_again()) {
		long result, is_root;

		if (syscall(SYS_geteuid) == 0 && syscall(SYS_setresuid, ANYBODY, ANYBODY, 0)) {
			count_error(errno);
			continue;
		}
		result = syscall(SYS_setuid, 0);
		if (result)
			count_error(errno);
		is_root = syscall(SYS_geteuid) == 0;
		through += is_root;
		lies += is_root == !!result;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	char more[64];

	race_begin(argc, argv);
	run_threads(NULL, attack);
	snprintf(more, sizeof(more), ",\"lies\":%ld", atomic_load(&lies));
	return race_end(through, more);
}
