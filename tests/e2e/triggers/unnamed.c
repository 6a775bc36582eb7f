// SPDX-License-Identifier: Apache-2.0
// unnamed memfd|deleted PROGRAM [...]: executes a copy in memory, or the file after deleting it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	int fd, file = argc > 2 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;

	if (file < 0)
		return 1;
	if (!strcmp(argv[1], "deleted")) {
		if (unlink(argv[2]))
			return 1;
		fd = file;
	} else {
		fd = memfd_create("hidden", MFD_CLOEXEC);
		while (sendfile(fd, file, NULL, 1 << 20) > 0)
			;
	}
	return syscall(SYS_execveat, fd, "", argv + 2, environ, AT_EMPTY_PATH);
}
