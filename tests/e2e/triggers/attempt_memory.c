// SPDX-License-Identifier: Apache-2.0
// attempt_memory ROW FOLDER: mappings, System V objects, new descriptors: see attempt.h.
#include "attempt.h"
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/timerfd.h>

#define PAGE 4096L
#define KEY 0x74707901 /* of a namespace of its own */

/* ---- mappings: of the process itself ---- */

static void do_mmap(struct stage *s)
{
	char *at = (char *)TRY(mmap, NULL, PAGE, (long)PROT_READ | PROT_EXEC, (long)MAP_PRIVATE,
			       (long)s->fds[0], 0L);

	s->effect = at != MAP_FAILED && is_secret(at);
}

/* A page with a function that returns 42, which may not yet run. */
static unsigned int (*code(struct stage *s))(void)
{
#ifdef __x86_64__
	static const unsigned char text[] = { 0xb8, 42, 0, 0, 0, 0xc3 };
#else
	static const unsigned int text[] = { 0x52800540, 0xd65f03c0 };
#endif
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(s, page == MAP_FAILED ? -1 : 0, "page");
	memcpy(page, text, sizeof(text));
	__builtin___clear_cache(page, page + sizeof(text));
	return (unsigned int (*)(void))page;
}

static void do_mprotect(struct stage *s)
{
	unsigned int (*run)(void) = code(s);

	if (!TRY(mprotect, run, PAGE, (long)PROT_READ | PROT_EXEC))
		s->effect = run() == 42;
}

static void do_pkey_mprotect(struct stage *s)
{
	unsigned int (*run)(void) = code(s);

	if (!TRY(pkey_mprotect, run, PAGE, (long)PROT_READ | PROT_EXEC, -1L))
		s->effect = run() == 42;
}

/* ---- System V ---- */

static void make_space(struct stage *s)
{
	need(s, unshare(CLONE_NEWIPC), "namespace");
}

static void do_msgget(struct stage *s)
{
	TRY(msgget, KEY, IPC_CREAT | 0600);
}

static int is_queue(struct stage *s)
{
	struct msqid_ds found;

	return s->result >= 0 && !msgctl(s->result, IPC_STAT, &found);
}

static void make_queue(struct stage *s)
{
	make_space(s);
	s->number = need(s, msgget(KEY, IPC_CREAT | 0600), "queue");
}

struct letter {
	long type;
	char text[TEXT_SIZE];
};

static void do_msgsnd(struct stage *s)
{
	struct letter sent = { .type = 1 };

	memcpy(sent.text, SECRET, TEXT_SIZE);
	TRY(msgsnd, (int)s->number, &sent, (long)TEXT_SIZE, IPC_NOWAIT);
}

static int is_sent(struct stage *s)
{
	struct letter got = { 0 };

	msgrcv(s->number, &got, TEXT_SIZE, 0, IPC_NOWAIT);
	return is_secret(got.text);
}

static void make_letter(struct stage *s)
{
	struct letter sent = { .type = 1 };

	make_queue(s);
	memcpy(sent.text, SECRET, TEXT_SIZE);
	need(s, msgsnd(s->number, &sent, TEXT_SIZE, IPC_NOWAIT), "letter");
}

static void do_msgrcv(struct stage *s)
{
	struct letter got = { 0 };

	TRY(msgrcv, (int)s->number, &got, (long)TEXT_SIZE, 0L, IPC_NOWAIT);
	s->effect = is_secret(got.text);
}

static void do_msgctl(struct stage *s)
{
	TRY(msgctl, (int)s->number, IPC_RMID, NULL);
}

static int is_no_queue(struct stage *s)
{
	struct letter got;

	return msgrcv(s->number, &got, TEXT_SIZE, 0, IPC_NOWAIT) < 0 && errno != ENOMSG;
}

static void make_semaphore(struct stage *s)
{
	make_space(s);
	s->number = need(s, semget(KEY, 1, IPC_CREAT | 0600), "semaphore");
}

static void do_semop(struct stage *s)
{
	struct sembuf up = { 0, 1, IPC_NOWAIT };

	TRY(semop, (int)s->number, &up, 1L);
}

static void do_semtimedop(struct stage *s)
{
	struct sembuf up = { 0, 1, IPC_NOWAIT };

	TRY(semtimedop, (int)s->number, &up, 1L, NULL);
}

static int is_up(struct stage *s)
{
	return semctl(s->number, 0, GETVAL) == 1;
}

static void do_semctl(struct stage *s)
{
	TRY(semctl, (int)s->number, 0, SETVAL, 1L);
}

static int can_go_down(struct stage *s)
{
	struct sembuf down = { 0, -1, IPC_NOWAIT };

	return !semop(s->number, &down, 1);
}

static void do_semget(struct stage *s)
{
	TRY(semget, KEY, 1, IPC_CREAT | 0600);
}

static int is_semaphore(struct stage *s)
{
	return s->result >= 0 && semctl(s->result, 0, GETVAL) == 0;
}

static void do_shmget(struct stage *s)
{
	TRY(shmget, KEY, PAGE, IPC_CREAT | 0600);
}

static int is_segment(struct stage *s)
{
	struct shmid_ds found;

	return s->result >= 0 && !shmctl(s->result, IPC_STAT, &found);
}

static void make_segment(struct stage *s)
{
	make_space(s);
	s->number = need(s, shmget(KEY, PAGE, IPC_CREAT | 0600), "segment");
}

static void do_shmat(struct stage *s)
{
	struct shmid_ds found = { 0 };

	TRY(shmat, (int)s->number, NULL, SHM_RDONLY);
	shmctl(s->number, IPC_STAT, &found);
	s->effect = found.shm_nattch == 1;
}

static void do_shmctl(struct stage *s)
{
	TRY(shmctl, (int)s->number, IPC_RMID, NULL);
}

static int is_no_segment(struct stage *s)
{
	return shmat(s->number, NULL, SHM_RDONLY) == (void *)-1;
}

/* ---- new descriptors: /proc says what they are ---- */

static void see_handle(struct stage *s, const char *word)
{
	char path[64], link[256] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%ld", s->result);
	if (s->result >= 0)
		syscall(SYS_readlinkat, AT_FDCWD, path, link, sizeof(link) - 1);
	s->effect = strstr(link, word) != NULL;
}

static void do_memfd_create(struct stage *s)
{
	TRY(memfd_create, "forbidden", 0);
	see_handle(s, "memfd:forbidden");
}

static void do_userfaultfd(struct stage *s)
{
	TRY(userfaultfd, O_NONBLOCK);
	see_handle(s, "[userfaultfd]");
}

static void do_io_uring_setup(struct stage *s)
{
	struct io_uring_params parameters = { 0 };

	TRY(io_uring_setup, 2, &parameters);
	see_handle(s, "[io_uring]");
}

static void do_perf_event_open(struct stage *s)
{
	struct perf_event_attr clock = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(clock),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.exclude_kernel = 1,
	};

	TRY(perf_event_open, &clock, 0, -1, -1, 0L);
	see_handle(s, "[perf_event]");
}

static void do_eventfd2(struct stage *s)
{
	TRY(eventfd2, 0, 0);
	see_handle(s, "[eventfd]");
}

static void do_epoll_create1(struct stage *s)
{
	TRY(epoll_create1, 0);
	see_handle(s, "[eventpoll]");
}

static void do_timerfd_create(struct stage *s)
{
	TRY(timerfd_create, CLOCK_MONOTONIC, 0);
	see_handle(s, "[timerfd]");
}

static void do_signalfd4(struct stage *s)
{
	unsigned long mask = 1UL << (SIGUSR1 - 1);

	TRY(signalfd4, -1, &mask, sizeof(mask), 0);
	see_handle(s, "[signalfd]");
}

static void do_inotify_init1(struct stage *s)
{
	TRY(inotify_init1, 0);
	see_handle(s, "inotify");
}

static void do_fanotify_init(struct stage *s)
{
	TRY(fanotify_init, FAN_CLASS_NOTIF, O_RDONLY);
	see_handle(s, "[fanotify]");
}

static void do_pidfd_open(struct stage *s)
{
	TRY(pidfd_open, getpid(), 0);
	see_handle(s, "pidfd");
}

static void do_pipe2(struct stage *s)
{
	int ends[2] = { -1, -1 };
	struct iovec in = { SECRET, TEXT_SIZE }, out = { s->text, TEXT_SIZE };

	TRY(pipe2, ends, O_NONBLOCK);
	syscall(SYS_writev, ends[1], &in, 1L);
	syscall(SYS_readv, ends[0], &out, 1L);
	s->effect = is_secret(s->text);
}

static void do_eventfd(struct stage *s)
{
	TRY(eventfd, 0);
	see_handle(s, "[eventfd]");
}

static void do_epoll_create(struct stage *s)
{
	TRY(epoll_create, 1);
	see_handle(s, "[eventpoll]");
}

static void do_signalfd(struct stage *s)
{
	unsigned long mask = 1UL << (SIGUSR1 - 1);

	TRY(signalfd, -1, &mask, sizeof(mask));
	see_handle(s, "[signalfd]");
}

static void do_inotify_init(struct stage *s)
{
	TRY(inotify_init);
	see_handle(s, "inotify");
}

static void do_pipe(struct stage *s)
{
	int ends[2] = { -1, -1 };
	struct iovec in = { SECRET, TEXT_SIZE }, out = { s->text, TEXT_SIZE };

	if (!TRY(pipe, ends)) {
		syscall(SYS_writev, ends[1], &in, 1L);
		syscall(SYS_readv, ends[0], &out, 1L);
	}
	s->effect = is_secret(s->text);
}

static void do_io_setup(struct stage *s)
{
	unsigned long context = 0;

	TRY(io_setup, 1, &context);
	s->effect = context != 0;
}

static void do_fsopen(struct stage *s)
{
	TRY(fsopen, "tmpfs", 0);
	see_handle(s, "[fscontext]");
}

static void do_fspick(struct stage *s)
{
	TRY(fspick, AT_FDCWD, "/", 0);
	see_handle(s, "[fscontext]");
}

static void do_open_tree(struct stage *s)
{
	TRY(open_tree, AT_FDCWD, s->forbidden, 0);
	see_handle(s, "forbidden");
}

/* ---- what others do to files ---- */

static void see_watch(struct stage *s, int fd, const char *word)
{
	char path[64], text[1024] = "";
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
	syscall(SYS_read, info, text, sizeof(text) - 1);
	s->effect = strstr(text, word) != NULL;
}

static void do_inotify_add_watch(struct stage *s)
{
	int fd = need(s, syscall(SYS_inotify_init1, 0), "inotify");

	TRY(inotify_add_watch, fd, s->forbidden, IN_OPEN);
	see_watch(s, fd, "inotify wd:");
}

static void do_fanotify_mark(struct stage *s)
{
	int fd = need(s, syscall(SYS_fanotify_init, FAN_CLASS_NOTIF, O_RDONLY), "fanotify");

	TRY(fanotify_mark, fd, FAN_MARK_ADD, (long)FAN_OPEN, AT_FDCWD, s->forbidden);
	see_watch(s, fd, "fanotify ino:");
}

static const struct row rows[] = {
	{ "mmap", SYS_mmap, make_file, do_mmap, NULL, 1 },
	{ "mprotect", SYS_mprotect, NULL, do_mprotect, NULL, 0 },
	{ "pkey_mprotect", SYS_pkey_mprotect, NULL, do_pkey_mprotect, NULL, 0 },
	{ "msgget", SYS_msgget, make_space, do_msgget, is_queue, 0 },
	{ "msgsnd", SYS_msgsnd, make_queue, do_msgsnd, is_sent, 0 },
	{ "msgrcv", SYS_msgrcv, make_letter, do_msgrcv, NULL, 0 },
	{ "msgctl", SYS_msgctl, make_queue, do_msgctl, is_no_queue, 0 },
	{ "semop", SYS_semop, make_semaphore, do_semop, is_up, 0 },
	{ "semtimedop", SYS_semtimedop, make_semaphore, do_semtimedop, is_up, 0 },
	{ "semctl", SYS_semctl, make_semaphore, do_semctl, can_go_down, 0 },
	{ "semget", SYS_semget, make_space, do_semget, is_semaphore, 0 },
	{ "shmget", SYS_shmget, make_space, do_shmget, is_segment, 0 },
	{ "shmat", SYS_shmat, make_segment, do_shmat, NULL, 0 },
	{ "shmctl", SYS_shmctl, make_segment, do_shmctl, is_no_segment, 0 },
	{ "memfd_create", SYS_memfd_create, NULL, do_memfd_create, NULL, 0 },
	{ "userfaultfd", SYS_userfaultfd, NULL, do_userfaultfd, NULL, 0 },
	{ "io_uring_setup", SYS_io_uring_setup, NULL, do_io_uring_setup, NULL, 0 },
	{ "perf_event_open", SYS_perf_event_open, NULL, do_perf_event_open, NULL, 0 },
	{ "eventfd2", SYS_eventfd2, NULL, do_eventfd2, NULL, 0 },
	{ "epoll_create1", SYS_epoll_create1, NULL, do_epoll_create1, NULL, 0 },
	{ "timerfd_create", SYS_timerfd_create, NULL, do_timerfd_create, NULL, 0 },
	{ "signalfd4", SYS_signalfd4, NULL, do_signalfd4, NULL, 0 },
	{ "inotify_init1", SYS_inotify_init1, NULL, do_inotify_init1, NULL, 0 },
	{ "fanotify_init", SYS_fanotify_init, NULL, do_fanotify_init, NULL, 0 },
	{ "pidfd_open", SYS_pidfd_open, NULL, do_pidfd_open, NULL, 0 },
	{ "eventfd", SYS_eventfd, NULL, do_eventfd, NULL, 0 },
	{ "epoll_create", SYS_epoll_create, NULL, do_epoll_create, NULL, 0 },
	{ "signalfd", SYS_signalfd, NULL, do_signalfd, NULL, 0 },
	{ "inotify_init", SYS_inotify_init, NULL, do_inotify_init, NULL, 0 },
	{ "pipe", SYS_pipe, NULL, do_pipe, NULL, 0 },
	{ "io_setup", SYS_io_setup, NULL, do_io_setup, NULL, 0 },
	{ "fsopen", SYS_fsopen, NULL, do_fsopen, NULL, 0 },
	{ "fspick", SYS_fspick, NULL, do_fspick, NULL, 0 },
	{ "open_tree", SYS_open_tree, make_file, do_open_tree, NULL, 0 },
	{ "inotify_add_watch", SYS_inotify_add_watch, make_file, do_inotify_add_watch, NULL, 0 },
	{ "fanotify_mark", SYS_fanotify_mark, make_file, do_fanotify_mark, NULL, 0 },
	{ "pipe2", SYS_pipe2, NULL, do_pipe2, NULL, 0 },
	{ 0 },
};

int main(int argc, char **argv)
{
	return attempt_main(rows, argc, argv);
}
