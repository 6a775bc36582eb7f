// SPDX-License-Identifier: Apache-2.0
// reuse COUNT PROGRAM: COUNT children one after the other, all with the same process id.
#define _GNU_SOURCE
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int pid = 0, status, count = argc > 2 ? atoi(argv[1]) : 0;
	char number[16];

	for (int i = 0; i < count; i++) {
		struct clone_args args = { .exit_signal = SIGCHLD };
		args.set_tid = pid ? (unsigned long)&pid : 0;
		args.set_tid_size = pid != 0;
		snprintf(number, sizeof(number), "%d", i);
		int child = syscall(SYS_clone3, &args, sizeof(args));
		if (!child)
			_exit(execl(argv[2], argv[2], number, NULL));
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 1;
		pid = child;
	}
	return printf("{\"pid\":%d,\"child\":%d,\"count\":%d}\n", getpid(), pid, count) < 0;
}
