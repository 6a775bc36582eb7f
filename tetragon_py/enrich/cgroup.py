# SPDX-License-Identifier: Apache-2.0
"""What a cgroup path says: systemd unit, slice, session and container.

In comes the path below the mount point of the hierarchy, as bytes; out goes CgroupInfo.
Nothing is asked of the system.

The unit is found from the root down as systemd does it: slices first, then one unit. So
who may make cgroups below a delegated unit cannot choose the unit's name. The container
is found from the leaf up, for the innermost one is where the process lives; who may
write below a container's cgroup can therefore claim to be in a nested one.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tetragon_py.events.process import CgroupInfo

__all__ = ["CgroupCache", "parse_cgroup"]

# The characters that systemd allows, and the types that have processes.
_UNIT: Final = re.compile(
    r"[0-9A-Za-z:_.\\@-]+\.(?:service|scope|socket|mount|swap)", re.ASCII
)
_SESSION: Final = re.compile(r"session-([0-9A-Za-z]+)\.scope")
# capsule@ since systemd 256: a user manager that belongs to no login.
_USER_MANAGER: Final = re.compile(r"(?:user@[0-9]+|capsule@.+)\.service")

# PREFIX-ID.scope, PREFIX-ID, SLICE:PREFIX:ID (runc without the systemd driver), ID.
_CONTAINER: Final = re.compile(
    r"(?:(?P<prefix>.+)[-:])?(?P<id>[0-9a-f]{64})(?:\.scope)?", re.DOTALL
)
_ID_LENGTH: Final = 64
_RUNTIME_OF_PREFIX: Final = {
    "docker": "docker",
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "libpod": "podman",
    "libpod-payload": "podman",
    "crio": "cri-o",
}
_RUNTIME_OF_PARENT: Final = {
    "docker": "docker",
    "moby": "docker",
    "default": "containerd",
    "k8s.io": "containerd",
    "libpod_parent": "podman",
}
_NSPAWN: Final = re.compile(
    r"(?:machine-(?P<scope>.+)\.scope|systemd-nspawn@(?P<service>.+)\.service)",
    re.DOTALL,
)
_MACHINE_SLICE: Final = re.compile(r"machine(?:-.+)?\.slice")
# libvirt names its scopes machine-qemu\x2d1\x2dNAME.scope: the emulator, on the host.
_QEMU: Final = re.compile(r"qemu-[0-9]+-")
_LXC_PREFIX: Final = "lxc.payload."
_NAME_WORDS: Final = ("lxc", "machine-", "systemd-nspawn@")
_ESCAPED: Final = re.compile(r"\\x([0-9a-f]{2})")


class _Container(NamedTuple):
    id: str
    runtime: str


_NO_CONTAINER: Final = _Container("", "")


def parse_cgroup(path: bytes) -> CgroupInfo:
    """Read a cgroup path; bytes that are not UTF-8 become U+FFFD.

    `slice` is the innermost of the slices that the path starts with, `unit` what
    follows them, and `user_unit` the same again below a user manager.
    """
    text = path.decode("utf-8", "replace")
    parts = [part for part in text.split("/") if part]
    slice_, rest = _skip_slices(parts, 0)
    unit = _unit(parts, rest)
    user_unit = ""
    if _USER_MANAGER.fullmatch(unit):
        user_unit = _unit(parts, _skip_slices(parts, rest + 1)[1])
    session = _SESSION.fullmatch(unit)
    container = _container(text, parts)
    return CgroupInfo(
        path=text,
        unit=unit,
        user_unit=user_unit,
        slice=slice_,
        session=session[1] if session else "",
        container_id=container.id,
        container_runtime=container.runtime,
    )


def _skip_slices(parts: list[str], start: int) -> tuple[str, int]:
    last = ""
    for index in range(start, len(parts)):
        name = _unescaped(parts[index])
        if not name.endswith(".slice"):
            return last, index
        last = name
    return last, len(parts)


def _unit(parts: list[str], index: int) -> str:
    if index >= len(parts):
        return ""
    name = _unescaped(parts[index])
    return name if _UNIT.fullmatch(name) else ""


def _unescaped(part: str) -> str:
    # systemd puts "_" before names that the kernel could mistake for its own files.
    return part.removeprefix("_")


def _container(text: str, parts: list[str]) -> _Container:
    has_names = any(word in text for word in _NAME_WORDS)
    for index in range(len(parts) - 1, -1, -1):
        found = None
        if len(parts[index]) >= _ID_LENGTH:
            found = _hex_container(parts, index)
        if found is None and has_names:
            found = _named_container(parts, index)
        if found is not None:
            return found
    return _NO_CONTAINER


def _hex_container(parts: list[str], index: int) -> _Container | None:
    match = _CONTAINER.fullmatch(parts[index])
    if match is None:
        return None
    prefix = match["prefix"]
    if prefix is not None:
        name = prefix.rpartition(":")[2]
        if name.endswith("conmon"):  # the monitor lives outside
            return None
        return _Container(match["id"], _RUNTIME_OF_PREFIX.get(name, ""))
    parent = parts[index - 1] if index else ""
    runtime = _RUNTIME_OF_PARENT.get(parent, "")
    if not runtime and any(part.startswith("kubepods") for part in parts[:index]):
        runtime = "containerd"
    return _Container(match["id"], runtime)


def _named_container(parts: list[str], index: int) -> _Container | None:
    part = parts[index]
    parent = parts[index - 1] if index else ""
    if part.startswith(_LXC_PREFIX) and len(part) > len(_LXC_PREFIX):
        return _Container(part[len(_LXC_PREFIX) :], "lxc")
    if parent in {"lxc", "lxc.payload"}:
        return _Container(part, "lxc")
    match = _NSPAWN.fullmatch(part)
    if match is None or (match["scope"] and not _MACHINE_SLICE.fullmatch(parent)):
        return None
    below = parts[index + 1] if index + 1 < len(parts) else ""
    name = _ESCAPED.sub(_byte, match["scope"] or match["service"])
    if below == "supervisor" or _QEMU.match(name):  # both run on the host
        return None
    return _Container(name, "systemd-nspawn")


def _byte(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


class CgroupCache:
    """Remembers what was read from cgroup paths.

    Paths come from the workload, so the cache is bounded twice: it is emptied when it
    is full, and takes no path that is longer than any real one.
    """

    CAPACITY = 4096
    #: Kubernetes below docker below Kubernetes needs about 600.
    PATH_MAX_BYTES = 1024

    __slots__ = ("_infos",)

    def __init__(self) -> None:
        self._infos: dict[bytes, CgroupInfo] = {}

    def __len__(self) -> int:
        return len(self._infos)

    def lookup(self, path: bytes) -> CgroupInfo:
        """Return what `parse_cgroup` says of `path`."""
        info = self._infos.get(path)
        if info is None:
            info = parse_cgroup(path)
            if len(path) <= self.PATH_MAX_BYTES:
                if len(self._infos) >= self.CAPACITY:
                    self._infos.clear()
                self._infos[path] = info
        return info
