// SPDX-License-Identifier: Apache-2.0
// spawn HOW PROGRAM [...]: fork, vfork or parent (CLONE_PARENT); the child executes the rest.
#define _GNU_SOURCE
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct clone_args args = { .flags = CLONE_PARENT };
	int child, is_vfork = argc > 2 && !strcmp(argv[1], "vfork");

	if (argc < 3)
		return 1;
	if (is_vfork)
		child = vfork();
	else
		child = strcmp(argv[1], "fork") ? syscall(SYS_clone3, &args, sizeof(args)) : fork();
	if (!child)
		_exit(execv(argv[2], argv + 2));
	printf("{\"pid\":%d,\"child\":%d}\n", getpid(), child);
	return child < 0 || (strcmp(argv[1], "parent") && wait(NULL) != child);
}
