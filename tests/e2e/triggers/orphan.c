// SPDX-License-Identifier: Apache-2.0
// orphan PROGRAM [...]: its child executes the rest, but not before this process is gone.
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int ends[2], parent = getpid(), child;
	char byte;

	if (argc < 2 || pipe(ends))
		return 1;
	child = fork();
	if (child) {
		printf("{\"pid\":%d,\"child\":%d}\n", parent, child);
		return 0;
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1)) /* its end closes at the parent's exit */
		return 1;
	while (getppid() == parent)
		usleep(100);
	return execv(argv[1], argv + 1);
}
