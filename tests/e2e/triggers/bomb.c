// SPDX-License-Identifier: Apache-2.0
// bomb COUNT WIDTH: COUNT children that call no exec; WIDTH of them live until all WIDTH do.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[1]) : 0, width = argc > 2 ? atoi(argv[2]) : 1;
	int ends[2], born = 0, ended = 0;
	char byte;

	while (born < count) {
		if (pipe(ends))
			return 1;
		for (int i = 0; i < width && born < count; i++, born++) {
			if (!fork()) {
				close(ends[1]);
				_exit(read(ends[0], &byte, 1) ? 99 : born % 100);
			}
		}
		close(ends[1]);
		close(ends[0]);
		while (wait(NULL) > 0)
			ended++;
	}
	return printf("{\"pid\":%d,\"count\":%d}\n", getpid(), ended) < 0;
}
