// SPDX-License-Identifier: Apache-2.0
// no_arguments PROGRAM: executes it with an argv that has not even argv[0].
#include <unistd.h>

int main(int argc, char **argv)
{
	char *none[] = { NULL };

	return argc > 1 ? execve(argv[1], none, none) : 1;
}
