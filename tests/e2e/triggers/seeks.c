// SPDX-License-Identifier: Apache-2.0
/* seeks FD COUNT: calls lseek(FD) COUNT times at full speed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int i, fd = argc > 1 ? atoi(argv[1]) : -5, count = argc > 2 ? atoi(argv[2]) : 1;

	for (i = 0; i < count; i++)
		lseek(fd, i, SEEK_SET);
	printf("{\"calls\": %d}\n", count);
	return 0;
}
