// SPDX-License-Identifier: Apache-2.0
/*
 * race_exec: children execute a path that one thread swaps between an allowed and a forbidden
 * program; every third one from a thread that is not its first. The program's first instruction is
 * on its way to write one byte: what got through are the bytes of the forbidden one. See race.h;
 * "killed" counts children that a signal ended, which is a refusal too.
 */
#include "race.h"
#include "tiny.h"
#include <sys/mman.h>
#include <sys/wait.h>

#define FAILED 43

static char *path; /* shared with all children */
static char *first;
static int *failures; /* of each thread's child: why its exec failed */
static atomic_long killed;

static void *swap(void *number)
{
	swap_names((long)number, first, 4000);
	return NULL;
}

static void *execute(void *failure)
{
	char *argv[] = { path, NULL };

	syscall(SYS_execve, path, argv, NULL);
	*(int *)failure = errno;
	_exit(FAILED);
}

static void *attack(void *number)
{
	int status, pid, *failure = failures + (long)number;
	long tries = 0;
	pthread_t thread;

	race_thread((long)number);
	while (try_again()) {
		pid = fork();
		if (!pid) {
			if (tries % 3 == 2 && !pthread_create(&thread, NULL, execute, failure))
				pthread_join(thread, NULL);
			execute(failure);
		}
		tries++;
		if (pid < 0 || waitpid(pid, &status, 0) != pid) {
			count_error(errno);
		} else if (WIFSIGNALED(status)) {
			killed++;
			race.refused++;
		} else if (WEXITSTATUS(status) == FAILED) {
			count_error(*failure);
		}
	}
	return NULL;
}

static void make_program(const char *name, char mark)
{
	char image[512];
	int size = tiny_image(image, mark), fd = make_file(name, 0755);

	if (write(fd, image, size) != size)
		give_up(name);
	close(fd);
}

int main(int argc, char **argv)
{
	long through = 0, allowed = 0;
	char more[96], mark;
	int marks;

	race_begin(argc, argv);
	path = mmap(NULL, PATH_MAX + THREADS * sizeof(int), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (path == MAP_FAILED)
		give_up("mmap");
	failures = (int *)(path + PATH_MAX);
	snprintf(path, PATH_MAX, "%s/%s", race.folder, FORBIDDEN);
	first = path + strlen(path) - strlen(FORBIDDEN);
	make_program(ALLOWED, 'a');
	make_program(FORBIDDEN, 'f');
	marks = make_file("marks", 0644);
	if (dup3(marks, TINY_FD, 0) < 0)
		give_up("dup3");
	run_threads(swap, attack);
	for (long at = 0; pread(marks, &mark, 1, at) == 1; at++) {
		through += mark == 'f';
		allowed += mark == 'a';
	}
	snprintf(more, sizeof(more), ",\"allowed\":%ld,\"killed\":%ld", allowed,
		 atomic_load(&killed));
	return race_end(through, more);
}
