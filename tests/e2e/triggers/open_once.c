// SPDX-License-Identifier: Apache-2.0
// open_once PATH: opens PATH for reading; status 0 if it could.
#include <fcntl.h>

int main(int argc, char **argv)
{
	return argc < 2 || openat(AT_FDCWD, argv[1], O_RDONLY) < 0;
}
