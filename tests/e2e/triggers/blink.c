// SPDX-License-Identifier: Apache-2.0
/*
 * blink [PATH]: four at a time try each millisecond what a policy forbids, until standard input
 * ends: children that call lseek(-5), for which they should be killed; or threads that open PATH,
 * which should be refused with ENOTNAM. Says when they begin, and tells how many tries there were,
 * how many got through, and how many ended in another way.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define WIDTH 4
#define SURVIVED 3

static atomic_int is_over;
static atomic_long tries, through, others;

static void count(int is_through, int is_other)
{
	tries++;
	through += is_through;
	others += is_other;
	usleep(1000); /* the agent and its reloads need the processor too */
}

static void *seek(void *unused)
{
	int status;

	while (!is_over) {
		pid_t child = fork();

		if (!child) {
			lseek(-5, 0, SEEK_SET);
			_exit(SURVIVED);
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			count(0, 1);
		else if (WIFEXITED(status) && WEXITSTATUS(status) == SURVIVED)
			count(1, 0);
		else
			count(0, !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL);
	}
	return unused;
}

static void *open_path(void *path)
{
	while (!is_over) {
		int fd = open(path, O_RDONLY);

		count(fd >= 0, fd < 0 && errno != ENOTNAM);
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[WIDTH];
	char byte;
	int i;

	for (i = 0; i < WIDTH; i++)
		if (pthread_create(&threads[i], NULL, argc > 1 ? open_path : seek, argv[1]))
			return 2;
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	is_over = 1;
	for (i = 0; i < WIDTH; i++)
		pthread_join(threads[i], NULL);
	printf("{\"tries\":%ld,\"through\":%ld,\"others\":%ld}\n", tries, through, others);
	return 0;
}
