# SPDX-License-Identifier: Apache-2.0
"""Which LSM hooks each system call passes, and where they have its arguments.

Kernels without error injection cannot replace what a system call returns. But the LSM
hooks that it passes can refuse it: at a moment when the kernel has its own copy of what
the process passed, which no other thread can change any more.

A line of the table is a system call with its hooks. A call is refused if any of its
hooks refuses; they are those of the ways that it can take (an open of a new file passes
path_mknod, that of an old one file_open). Hooks that a kernel does not have are left
out. In brackets: argument of the call = what the kernel made of it, by parameters of
the hook:

    file:0        struct file
    path:0        struct path
    child:0,1     struct path of a folder, struct dentry in it
    text:0        char * in the kernel
    address:1     struct sockaddr in the kernel
    binary:0      struct linux_binprm

A hook with `?` is not passed by every use of the call. With `!` the kernel replaces the
error by its own, which is mostly EPERM. (A message for who waits in msgrcv is handed
over by who sends it.) With `&` it decides only if its second
parameter has one of these bits (MAY_READ 4, MAY_WRITE 2): io_uring comes there without
the number of a call.

Sources: fs/, net/, kernel/, security/security.c of Linux 5.10 to 7.2.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

__all__ = ["IO_URING_CALLS", "Guard", "KernelObject", "guarded_calls", "guards_of"]


class KernelObject(NamedTuple):
    """What the kernel made of an argument.

    Attributes:
        kind: "file", "path", "child", "text", "address" or "binary".
        parameter: The hook's; of a child the dentry.
        folder: Of a child: the parameter with its folder's path.
    """

    kind: str
    parameter: int
    folder: int = 0


class Guard(NamedTuple):
    """An LSM hook that a system call passes.

    Attributes:
        hook: Its name.
        objects: Argument of the call -> what the hook has of it.
        is_partial: Not every use of the call passes it.
        keeps_error: The call returns the error of the hook.
        access: Bits of which the hook's second parameter has to have one; 0: any.
    """

    hook: str
    objects: dict[int, KernelObject]
    is_partial: bool = False
    keeps_error: bool = True
    access: int = 0


_TABLE = """
# ---- files by name ----
open: file_open(0=file:0) path_mknod(0=child:0,1)
creat: file_open(0=file:0) path_mknod(0=child:0,1)
openat: file_open(1=file:0) path_mknod(1=child:0,1)
openat2: file_open(1=file:0) path_mknod(1=child:0,1)
open_by_handle_at: file_open
mkdir: path_mkdir(0=child:0,1)
mkdirat: path_mkdir(1=child:0,1)
rmdir: path_rmdir(0=child:0,1)
unlink: path_unlink(0=child:0,1)
unlinkat: path_unlink(1=child:0,1) path_rmdir(1=child:0,1)
link: path_link(0=child:1,0 1=child:1,2)
linkat: path_link(1=child:1,0 3=child:1,2)
symlink: path_symlink(0=text:2 1=child:0,1)
symlinkat: path_symlink(0=text:2 2=child:0,1)
rename: path_rename(0=child:0,1 1=child:2,3)
renameat: path_rename(1=child:0,1 3=child:2,3)
renameat2: path_rename(1=child:0,1 3=child:2,3)
mknod: path_mknod(0=child:0,1)
mknodat: path_mknod(1=child:0,1)
chmod: path_chmod(0=path:0)
fchmod: path_chmod
fchmodat: path_chmod(1=path:0)
fchmodat2: path_chmod(1=path:0)
chown: path_chown(0=path:0)
lchown: path_chown(0=path:0)
fchown: path_chown
fchownat: path_chown(1=path:0)
truncate: path_truncate(0=path:0)
ftruncate: file_truncate(0=file:0) path_truncate
chroot: path_chroot(0=path:0)
chdir: inode_permission
access: inode_permission
faccessat: inode_permission
faccessat2: inode_permission
stat: inode_getattr(0=path:0)
lstat: inode_getattr(0=path:0)
newfstatat: inode_getattr(1=path:0)
statx: inode_getattr(1=path:0)
fstat: inode_getattr
readlink: inode_readlink
readlinkat: inode_readlink
setxattr: inode_setxattr inode_set_acl
setxattrat: inode_setxattr inode_set_acl
lsetxattr: inode_setxattr inode_set_acl
fsetxattr: inode_setxattr inode_set_acl
getxattr: inode_getxattr inode_get_acl
getxattrat: inode_getxattr inode_get_acl
lgetxattr: inode_getxattr inode_get_acl
fgetxattr: inode_getxattr inode_get_acl
listxattr: inode_listxattr
listxattrat: inode_listxattr
llistxattr: inode_listxattr
flistxattr: inode_listxattr
removexattr: inode_removexattr inode_remove_acl
removexattrat: inode_removexattr inode_remove_acl
lremovexattr: inode_removexattr inode_remove_acl
fremovexattr: inode_removexattr inode_remove_acl
utime: inode_setattr
utimes: inode_setattr
utimensat: inode_setattr
futimesat: inode_setattr
statfs: sb_statfs
fstatfs: sb_statfs
file_getattr: inode_file_getattr
file_setattr: inode_file_setattr
inotify_add_watch: path_notify(1=path:0)
fanotify_mark: path_notify
# ---- files by descriptor ----
read: file_permission&4(0=file:0)
pread64: file_permission&4(0=file:0)
readv: file_permission&4(0=file:0)
preadv: file_permission&4(0=file:0)
preadv2: file_permission&4(0=file:0)
write: file_permission&2(0=file:0)
pwrite64: file_permission&2(0=file:0)
writev: file_permission&2(0=file:0)
pwritev: file_permission&2(0=file:0)
pwritev2: file_permission&2(0=file:0)
sendfile: file_permission
splice: file_permission
copy_file_range: file_permission
fallocate: file_permission&2(0=file:0)
getdents: file_permission(0=file:0)
getdents64: file_permission(0=file:0)
ioctl: file_ioctl(0=file:0) file_ioctl_compat(0=file:0)
fcntl: file_fcntl(0=file:0)
flock: file_lock(0=file:0)
mmap: mmap_file(4=file:0)
mprotect: file_mprotect
pkey_mprotect: file_mprotect
# ---- new descriptors ----
memfd_create: file_alloc_security
eventfd: file_alloc_security
eventfd2: file_alloc_security
epoll_create: file_alloc_security
epoll_create1: file_alloc_security
timerfd_create: file_alloc_security
signalfd: file_alloc_security?
signalfd4: file_alloc_security?
inotify_init: file_alloc_security
inotify_init1: file_alloc_security
fanotify_init: file_alloc_security
userfaultfd: file_alloc_security
pidfd_open: file_alloc_security
pipe: file_alloc_security
pipe2: file_alloc_security
io_setup: file_alloc_security!
io_uring_setup: uring_allowed file_alloc_security
perf_event_open: perf_event_open
# ---- file systems ----
mount: sb_mount(0=text:0 1=path:1 2=text:2)
umount2: sb_umount
move_mount: move_mount
pivot_root: sb_pivotroot(0=path:1 1=path:0)
fsopen: file_alloc_security
open_tree: file_alloc_security
fspick: file_alloc_security
fsmount: file_alloc_security
mount_setattr: capable!
swapon: capable!
swapoff: capable!
quotactl: quotactl
acct: capable!
# ---- sockets ----
socket: socket_create
socketpair: socket_create
connect: socket_connect(1=address:1)
bind: socket_bind(1=address:1)
listen: socket_listen
accept: socket_accept
accept4: socket_accept
sendto: socket_sendmsg
sendmsg: socket_sendmsg
sendmmsg: socket_sendmsg
recvfrom: socket_recvmsg
recvmsg: socket_recvmsg
recvmmsg: socket_recvmsg
setsockopt: socket_setsockopt
getsockopt: socket_getsockopt
getsockname: socket_getsockname
getpeername: socket_getpeername
shutdown: socket_shutdown
# ---- processes ----
execve: bprm_creds_for_exec(0=binary:0)
execveat: bprm_creds_for_exec(1=binary:0)
fork: task_alloc
vfork: task_alloc
clone: task_alloc
clone3: task_alloc
unshare: userns_create? capable?!
setns: capable!
ptrace: ptrace_access_check? ptrace_traceme?
process_vm_readv: ptrace_access_check!
process_vm_writev: ptrace_access_check!
process_madvise: ptrace_access_check!
pidfd_getfd: ptrace_access_check!
kcmp: ptrace_access_check!
get_robust_list: ptrace_access_check!
kill: task_kill
tkill: task_kill
tgkill: task_kill
rt_sigqueueinfo: task_kill
rt_tgsigqueueinfo: task_kill
pidfd_send_signal: task_kill
setuid: task_fix_setuid
setreuid: task_fix_setuid
setresuid: task_fix_setuid
setfsuid: task_fix_setuid
setgid: task_fix_setgid
setregid: task_fix_setgid
setresgid: task_fix_setgid
setfsgid: task_fix_setgid
setgroups: task_fix_setgroups capable!
capset: capset
capget: capget
prctl: task_prctl
setpriority: task_setnice
sched_setscheduler: task_setscheduler
sched_setparam: task_setscheduler
sched_setattr: task_setscheduler
sched_setaffinity: task_setscheduler
sched_getscheduler: task_getscheduler
sched_getparam: task_getscheduler
sched_getattr: task_getscheduler
sched_rr_get_interval: task_getscheduler
ioprio_set: task_setioprio
ioprio_get: task_getioprio
setrlimit: task_setrlimit
prlimit64: task_prlimit? task_setrlimit?
setpgid: task_setpgid
getpgid: task_getpgid?
getsid: task_getsid?
move_pages: task_movememory?
migrate_pages: task_movememory
# ---- the kernel itself ----
bpf: bpf
init_module: kernel_load_data
finit_module: kernel_read_file(0=file:0)
delete_module: capable!
kexec_load: kernel_load_data
kexec_file_load: kernel_read_file(0=file:0)
reboot: capable!
syslog: syslog
settimeofday: settime
clock_settime: settime?
adjtimex: capable?!
clock_adjtime: capable?!
sethostname: capable!
setdomainname: capable!
iopl: capable?!
ioperm: capable?!
# ---- System V and keys ----
msgget: msg_queue_associate msg_queue_alloc_security
msgsnd: msg_queue_msgsnd
msgrcv: msg_queue_msgrcv?!
msgctl: msg_queue_msgctl
semget: sem_associate sem_alloc_security
semop: sem_semop
semtimedop: sem_semop
semctl: sem_semctl!
shmget: shm_associate shm_alloc_security
shmat: shm_shmat
shmctl: shm_shmctl
add_key: key_permission
request_key: key_permission
keyctl: key_permission?!
"""

#: What io_uring can do without the system call: its requests pass the same hooks. Not
#: pipe2: in its hook nothing tells it from any other new file.
IO_URING_CALLS = frozenset(
    (
        *("accept", "accept4", "bind", "connect", "creat", "fallocate", "fgetxattr"),
        *("fsetxattr", "ftruncate", "getxattr", "link", "linkat", "listen", "mkdir"),
        *("mkdirat", "open", "openat", "openat2", "pread64"),
        *("preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readv"),
        *("recvfrom", "recvmsg", "rename", "renameat", "renameat2", "rmdir"),
        *("sendmsg", "sendto", "setxattr", "shutdown", "socket", "splice", "statx"),
        *("symlink", "symlinkat", "unlink", "unlinkat", "write", "writev"),
    )
)

_HOOK = re.compile(r"(\w+)(?:&(\d))?(?:\(([^)]*)\))?(\??)(!?)")
_OBJECT = re.compile(r"(\d)=(\w+):(\d)(?:,(\d))?")


@cache
def _table() -> dict[str, tuple[Guard, ...]]:
    lines = (line for line in _TABLE.splitlines() if line and line[0] != "#")
    rows = (line.split(":", 1) for line in lines)
    return {call: tuple(map(_guard, _HOOK.finditer(hooks))) for call, hooks in rows}


def _guard(match: re.Match[str]) -> Guard:
    name, access, objects, partial, replaces = match.groups()
    return Guard(
        name,
        {int(one[1]): _object(one) for one in _OBJECT.finditer(objects or "")},
        is_partial=bool(partial),
        keeps_error=not replaces,
        access=int(access or 0),
    )


def _object(match: re.Match[str]) -> KernelObject:
    if match[4] is None:
        return KernelObject(match[2], int(match[3]))
    return KernelObject(match[2], int(match[4]), folder=int(match[3]))


def guards_of(call: str) -> tuple[Guard, ...]:
    """The LSM hooks that a system call passes ("openat"); none: there is no way."""
    return _table().get(call, ())


def guarded_calls() -> tuple[str, ...]:
    """All calls of the table."""
    return tuple(_table())
