// SPDX-License-Identifier: Apache-2.0
// chain PROGRAM [...]: executes the rest of its arguments, in the same process.
#include <unistd.h>

int main(int argc, char **argv)
{
	return argc > 1 ? execv(argv[1], argv + 1) : 1;
}
