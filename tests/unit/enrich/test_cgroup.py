# SPDX-License-Identifier: Apache-2.0
"""What cgroup paths say: shapes of systemd and of the container runtimes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetragon_py.enrich.cgroup import CgroupCache, parse_cgroup

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4


@pytest.mark.parametrize(
    ("path", "unit", "slice_"),
    [
        ("/", "", ""),
        ("", "", ""),
        ("/init.scope", "init.scope", ""),
        ("/system.slice", "", "system.slice"),
        ("/system.slice/ssh.service", "ssh.service", "system.slice"),
        ("/system.slice/a.service/sub/b.service", "a.service", "system.slice"),
        (
            "/system.slice/system-getty.slice/getty@tty1.service",
            "getty@tty1.service",
            "system-getty.slice",
        ),
        (
            r"/system.slice/system-modprobe\x2dx.slice/dbus-:1.2-org.a@0.service",
            "dbus-:1.2-org.a@0.service",
            r"system-modprobe\x2dx.slice",
        ),
        (
            r"/system.slice/systemd-fsck@dev-disk-by\x2duuid-A\x2dB.service",
            r"systemd-fsck@dev-disk-by\x2duuid-A\x2dB.service",
            "system.slice",
        ),
        ("/system.slice/_cpu.service", "cpu.service", "system.slice"),
        ("/system.slice/__x.service", "_x.service", "system.slice"),
        ("/system.slice/data.mount", "data.mount", "system.slice"),
        ("/system.slice/docker.socket", "docker.socket", "system.slice"),
        ("/system.slice/.service", "", "system.slice"),
        ("/system.slice/a\nb.service", "", "system.slice"),
        ("/user.slice/a/system.slice/b.service", "", "user.slice"),
    ],
)
def test_unit_is_what_follows_the_leading_slices(path, unit, slice_):
    """The unit and its slice are those that systemd would name."""
    info = parse_cgroup(path.encode())

    assert (unit, slice_) == (info.unit, info.slice)
    assert (info.container_id, info.container_runtime) == ("", "")


@pytest.mark.parametrize(
    ("path", "unit", "user_unit", "session"),
    [
        ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope", "", "3"),
        ("/user.slice/user-0.slice/session-c12.scope", "session-c12.scope", "", "c12"),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-foo.service",
            "user@1000.service",
            "app-foo.service",
            "",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/init.scope",
            "user@1000.service",
            "init.scope",
            "",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service",
            "user@1000.service",
            "",
            "",
        ),
        (
            "/capsule.slice/capsule@foo.service/app.slice/x.service",
            "capsule@foo.service",
            "x.service",
            "",
        ),
        ("/system.slice/user@x.service/a.service", "user@x.service", "", ""),
        ("/system.slice/x.service/session-3.scope", "x.service", "", ""),
    ],
)
def test_sessions_and_user_managers_are_told(path, unit, user_unit, session):
    """A login shows its session, a user manager the unit that it runs."""
    info = parse_cgroup(path.encode())

    assert (unit, user_unit, session) == (info.unit, info.user_unit, info.session)


def test_slice_of_a_user_unit_is_the_system_managers():
    """Slices that a user's own manager made do not hide the system's slice."""
    info = parse_cgroup(
        b"/user.slice/user-1000.slice/user@1000.service/app.slice/a.service"
    )

    assert info.slice == "user-1000.slice"


POD = "kubepods-burstable-pod0a1b.slice"


@pytest.mark.parametrize(
    ("path", "runtime"),
    [
        (f"/docker/{ID}", "docker"),
        (f"/docker/{ID}/init.scope", "docker"),
        (f"/docker/{ID}/syscont-cgroup-root/init.scope", "docker"),
        (f"/system.slice/docker-{ID}.scope", "docker"),
        (f"/system.slice:docker:{ID}", "docker"),
        (f"/kubepods.slice/{POD}/docker-{ID}.scope", "docker"),
        (f"/kubepods.slice/{POD}/cri-containerd-{ID}.scope", "containerd"),
        (f"/kubepods/besteffort/pod0a1b-22/{ID}", "containerd"),
        (f"/kubepods.slice/{POD}:cri-containerd:{ID}", "containerd"),
        (f"/system.slice/containerd.service/{POD}:cri-containerd:{ID}", "containerd"),
        (f"/system.slice/nerdctl-{ID}.scope", "containerd"),
        (f"/default/{ID}", "containerd"),
        (f"/machine.slice/libpod-{ID}.scope", "podman"),
        (f"/machine.slice/libpod-{ID}.scope/container", "podman"),
        (f"/system.slice/web.service/libpod-payload-{ID}", "podman"),
        (f"/libpod_parent/libpod-{ID}", "podman"),
        (
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/"
                f"libpod-{ID}.scope/container"
            ),
            "podman",
        ),
        (f"/kubepods.slice/{POD}/crio-{ID}.scope", "cri-o"),
        (f"/kubepods/burstable/pod0a1b/crio-{ID}", "cri-o"),
        (f"/docker/{OTHER}/docker/{ID}", "docker"),
        (f"/docker/{OTHER}/kubepods/pod1/{ID}/system.slice/a.service", "containerd"),
        (f"/machine.slice/libpod-{OTHER}.scope/container/docker/{ID}", "docker"),
        (f"/elsewhere/{ID}", ""),
        (f"/machine.slice/newruntime-{ID}.scope", ""),
    ],
)
def test_container_ids_are_found(path, runtime):
    """The innermost container's id and what runs it come out of every known shape."""
    info = parse_cgroup(path.encode())

    assert info.container_id == ID
    assert runtime == info.container_runtime


@pytest.mark.parametrize(
    ("path", "name", "runtime"),
    [
        ("/lxc.payload.web", "web", "lxc"),
        ("/lxc.payload.web/system.slice/a.service", "web", "lxc"),
        ("/lxc.payload/web", "web", "lxc"),
        ("/lxc/web/init.scope", "web", "lxc"),
        ("/lxc.payload.outer/lxc.payload.inner/init.scope", "inner", "lxc"),
        ("/machine.slice/machine-foo.scope/payload", "foo", "systemd-nspawn"),
        (r"/machine.slice/machine-a\x2db.scope", "a-b", "systemd-nspawn"),
        (
            "/machine.slice/systemd-nspawn@foo.service/payload/init.scope",
            "foo",
            "systemd-nspawn",
        ),
    ],
)
def test_named_containers_are_found(path, name, runtime):
    """Containers that have names instead of ids are told by name."""
    info = parse_cgroup(path.encode())

    assert (name, runtime) == (info.container_id, info.container_runtime)


@pytest.mark.parametrize(
    "path",
    [
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"/kubepods.slice/{POD}/crio-conmon-{ID}.scope",
        "/lxc.monitor.web",
        "/lxc.payload.",
        "/machine.slice/machine-foo.scope/supervisor",
        r"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator",
        "/system.slice/machine-foo.scope",
        f"/docker/{ID[:-1]}",
        f"/docker/{ID}0",
        f"/docker/{ID.upper()}",
        f"/machine.slice/machine-libpod_pod_{ID}.slice",
    ],
)
def test_what_is_no_container_is_not_taken_for_one(path):
    """Monitors, virtual machines and look-alikes are processes of the host."""
    info = parse_cgroup(path.encode())

    assert (info.container_id, info.container_runtime) == ("", "")


def test_monitor_in_a_container_belongs_to_it():
    """A container's monitor that runs inside another container is told as of that."""
    info = parse_cgroup(f"/docker/{ID}/libpod-conmon-{OTHER}".encode())

    assert (info.container_id, info.container_runtime) == (ID, "docker")


def test_workload_cannot_choose_its_unit():
    """A cgroup made below a delegated unit does not change the unit that is told."""
    info = parse_cgroup(b"/system.slice/evil.service/system.slice/ssh.service")

    assert (
        info.unit,
        info.user_unit,
        info.slice,
    ) == ("evil.service", "", "system.slice")


def test_bytes_that_are_no_utf8_are_replaced():
    """A name that is not UTF-8 is shown with U+FFFD, and gives a valid text."""
    info = parse_cgroup(b"/lxc/\xff\n\x1b")

    assert info.path == "/lxc/�\n\x1b"
    assert info.container_id == "�\n\x1b"


@given(st.binary(max_size=300))
def test_any_bytes_are_read(path):
    """No path makes the parser fail."""
    info = parse_cgroup(path)

    assert path.decode("utf-8", "replace") == info.path
    for text in info:
        text.encode()


def test_cache_answers_as_the_parser_and_once():
    """A path is read once; later look-ups return the same object."""
    cache = CgroupCache()
    path = b"/system.slice/ssh.service"

    assert parse_cgroup(path) == cache.lookup(path)
    assert cache.lookup(path) is cache.lookup(bytes(bytearray(path)))


def test_cache_is_bounded():
    """A workload that makes cgroups without end cannot make the cache grow so."""
    cache = CgroupCache()
    for number in range(CgroupCache.CAPACITY + 1):
        cache.lookup(b"/%d" % number)

    assert len(cache) == 1


def test_cache_does_not_keep_overlong_paths():
    """Paths that are longer than real ones are read but not kept."""
    cache = CgroupCache()
    info = cache.lookup(b"/a" * 2048)

    assert info.path == "/a" * 2048
    assert len(cache) == 0
