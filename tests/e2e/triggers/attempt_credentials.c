// SPDX-License-Identifier: Apache-2.0
// attempt_credentials ROW FOLDER: who one is, and keys: see attempt.h.
#include "attempt.h"
#include <linux/capability.h>
#include <linux/keyctl.h>

/* ---- users and groups: the worker's own, by what /proc says of it ---- */

/* Returns the n-th number of a line of /proc/self/status, from 0. */
static unsigned long identity(const char *key, int number)
{
	char text[4096] = "";
	char *at;
	int fd = syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/status", O_RDONLY);

	syscall(SYS_read, fd, text, sizeof(text) - 1);
	syscall(SYS_close, fd);
	at = strstr(text, key);
	if (!at)
		return -1;
	at += strlen(key);
	while (number--)
		strtoul(at, &at, 10);
	return strtoul(at, NULL, 10);
}

enum { REAL, EFFECTIVE, SAVED, OF_FILES };

static void do_setuid(struct stage *s)
{
	TRY(setuid, ANYBODY);
	s->effect = identity("\nUid:", EFFECTIVE) == ANYBODY;
}

static void do_setreuid(struct stage *s)
{
	TRY(setreuid, -1, ANYBODY);
	s->effect = identity("\nUid:", EFFECTIVE) == ANYBODY;
}

static void do_setresuid(struct stage *s)
{
	TRY(setresuid, -1, ANYBODY, -1);
	s->effect = identity("\nUid:", EFFECTIVE) == ANYBODY;
}

/* This and setfsgid return the old id; a hook's refusal looks the same. */
static void do_setfsuid(struct stage *s)
{
	TRY(setfsuid, ANYBODY);
	s->effect = identity("\nUid:", OF_FILES) == ANYBODY;
}

static void do_setgid(struct stage *s)
{
	TRY(setgid, ANYBODY);
	s->effect = identity("\nGid:", EFFECTIVE) == ANYBODY;
}

static void do_setregid(struct stage *s)
{
	TRY(setregid, -1, ANYBODY);
	s->effect = identity("\nGid:", EFFECTIVE) == ANYBODY;
}

static void do_setresgid(struct stage *s)
{
	TRY(setresgid, -1, ANYBODY, -1);
	s->effect = identity("\nGid:", EFFECTIVE) == ANYBODY;
}

static void do_setfsgid(struct stage *s)
{
	TRY(setfsgid, ANYBODY);
	s->effect = identity("\nGid:", OF_FILES) == ANYBODY;
}

static void do_setgroups(struct stage *s)
{
	unsigned int groups[1] = { ANYBODY };
	TRY(setgroups, 1L, groups);
	s->effect = identity("\nGroups:", 0) == ANYBODY;
}

static void do_capset(struct stage *s)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { 0 };
	TRY(capset, &head, none);
	s->effect = identity("\nCapEff:", 0) == 0;
}

static void do_capget(struct stage *s)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct found[2] = { 0 };
	TRY(capget, &head, found);
	s->effect = found[0].effective != 0;
}

/* ---- keys: in the keyring of the worker's process, which ends with it ---- */

static long add_key(const char *name)
{
	return syscall(SYS_add_key, "user", name, SECRET, (long)TEXT_SIZE,
		       (long)KEY_SPEC_PROCESS_KEYRING);
}

static void see_key(struct stage *s, long key)
{
	if (key > 0)
		syscall(SYS_keyctl, (long)KEYCTL_READ, key, s->text, (long)sizeof(s->text), 0L);
	s->effect = is_secret(s->text);
}

static void do_add_key(struct stage *s)
{
	see_key(s, tried(s, add_key("forbidden")));
}

static void do_request_key(struct stage *s)
{
	long key;

	need(s, add_key("forbidden"), "key");
	key = TRY(request_key, "user", "forbidden", NULL, 0L);
	see_key(s, key);
}

static void do_keyctl(struct stage *s)
{
	long key = need(s, add_key("forbidden"), "key");

	TRY(keyctl, (long)KEYCTL_READ, key, s->text, (long)sizeof(s->text), 0L);
	s->effect = is_secret(s->text);
}

static const struct row rows[] = {
	{ "setuid", SYS_setuid, NULL, do_setuid, NULL, 0 },
	{ "setreuid", SYS_setreuid, NULL, do_setreuid, NULL, 0 },
	{ "setresuid", SYS_setresuid, NULL, do_setresuid, NULL, 0 },
	{ "setfsuid", SYS_setfsuid, NULL, do_setfsuid, NULL, 0 },
	{ "setgid", SYS_setgid, NULL, do_setgid, NULL, 0 },
	{ "setregid", SYS_setregid, NULL, do_setregid, NULL, 0 },
	{ "setresgid", SYS_setresgid, NULL, do_setresgid, NULL, 0 },
	{ "setfsgid", SYS_setfsgid, NULL, do_setfsgid, NULL, 0 },
	{ "setgroups", SYS_setgroups, NULL, do_setgroups, NULL, 0 },
	{ "capset", SYS_capset, NULL, do_capset, NULL, 0 },
	{ "capget", SYS_capget, NULL, do_capget, NULL, 0 },
	{ "add_key", SYS_add_key, NULL, do_add_key, NULL, 0 },
	{ "request_key", SYS_request_key, NULL, do_request_key, NULL, 0 },
	{ "keyctl", SYS_keyctl, NULL, do_keyctl, NULL, 0 },
	{ 0 },
};

int main(int argc, char **argv)
{
	return attempt_main(rows, argc, argv);
}
