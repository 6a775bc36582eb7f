// SPDX-License-Identifier: Apache-2.0
/*
 * exec_doors DOOR temporary|memory|deleted PROGRAM FOLDER: execute PROGRAM, or a copy of it in
 * memory or without a name, by one of the ways below. FOLDER is an empty one in its file system.
 * Exits with the errno, or as the program does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COMPAT_EXECVE 11
#define COPY_BYTES (1 << 30)
#ifdef __x86_64__
#define LOADER "/lib64/ld-linux-x86-64.so.2"
#else
#define LOADER "/lib/ld-linux-aarch64.so.1"
#endif

static char *program, *folder, *arguments[] = { "program", 0, 0 }, *no_environment[] = { 0 };
static int descriptor;
static char place[4096];

static char *in_folder(const char *name)
{
	snprintf(place, sizeof(place), "%s/%s", folder, name);
	return place;
}

static char *by_descriptor(void)
{
	snprintf(place, sizeof(place), "/proc/self/fd/%d", descriptor);
	return place;
}

static void run(char *path)
{
	execve(path, arguments, no_environment);
}

/* "#! PROGRAM": the kernel follows /proc/self/fd/N there too. */
static void run_script(void)
{
	char *interpreter = strdup(by_descriptor());
	FILE *script = fopen(in_folder("script"), "w");

	fprintf(script, "#!%s\n", interpreter);
	fclose(script);
	chmod(place, 0755);
	run(place);
}

static void run_compat(void)
{
#ifdef __x86_64__
	char *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
			 -1, 0);
	long number = COMPAT_EXECVE;

	strcpy(low, program);
	asm volatile("int $0x80" : "+a"(number) : "b"(low), "c"(0), "d"(0) : "memory");
	errno = -number;
#endif
}

static void run_bind_mount(void)
{
	char *from = strdup(program);

	*strrchr(from, '/') = 0;
	if (unshare(CLONE_NEWNS) || mount("none", "/", 0, MS_REC | MS_PRIVATE, 0))
		return;
	if (mkdir(in_folder("bind"), 0755) || mount(from, place, 0, MS_BIND, 0))
		return;
	run(strcat(place, strrchr(program, '/')));
}

static void pass(const char *door)
{
	char *slash = strrchr(program, '/');

	if (!strcmp(door, "execve")) {
		run(program);
	} else if (!strcmp(door, "execveat")) {
		*slash = 0;
		syscall(SYS_execveat, open(program, O_PATH), slash + 1, arguments, no_environment,
			0);
	} else if (!strcmp(door, "descriptor")) {
		syscall(SYS_execveat, descriptor, "", arguments, no_environment, AT_EMPTY_PATH);
	} else if (!strcmp(door, "proc-self-fd")) {
		run(by_descriptor());
	} else if (!strcmp(door, "symlink")) {
		if (!symlink(program, in_folder("link")))
			run(place);
	} else if (!strcmp(door, "script")) {
		run_script();
	} else if (!strcmp(door, "32-bit")) {
		run_compat();
	} else if (!strcmp(door, "bind-mount")) {
		run_bind_mount();
	} else if (!strcmp(door, "loader")) {
		arguments[1] = program;
		run(LOADER);
	}
}

int main(int argc, char **argv)
{
	int source;

	if (argc != 5)
		return 2;
	program = argv[3];
	folder = argv[4];
	source = descriptor = open(program, O_RDONLY);
	if (!strcmp(argv[2], "memory"))
		descriptor = memfd_create("program", 0);
	else if (!strcmp(argv[2], "deleted"))
		descriptor = open(in_folder("gone"), O_RDWR | O_CREAT, 0755);
	if (descriptor != source) {
		sendfile(descriptor, source, 0, COPY_BYTES);
		unlink(place);
		/* while somebody can write, nobody can execute */
		descriptor = open(by_descriptor(), O_RDONLY);
		close(descriptor - 1);
	}
	pass(argv[1]);
	return errno;
}
