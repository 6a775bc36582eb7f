# SPDX-License-Identifier: Apache-2.0
"""Reads kernels.toml: the kernels that are booted, and what is expected of each.

The file comes in, frozen values go out; what is wrong with it is told with the place.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "KERNELS_FILE",
    "Kernel",
    "Kernels",
    "KernelsError",
    "NativeKernel",
    "PackageSet",
    "load_kernels",
    "parse_kernels",
]

KERNELS_FILE = Path(__file__).with_name("kernels.toml")


class KernelsError(Exception):
    """kernels.toml contradicts itself or lacks something."""


@dataclass(frozen=True, slots=True)
class PackageSet:
    """Packages of one suite: exact versions, and where a newer one is found.

    `newest` is the package that depends on the newest of the same flavour; empty: the
    packages keep their names over all versions.
    """

    suites: tuple[str, ...]  # the first one names the others
    versions: Mapping[str, str]
    newest: str = ""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that is booted; `without` has the reason of each missing feature."""

    name: str
    packages: PackageSet
    features: frozenset[str]
    without: Mapping[str, str]
    command_line: str = ""
    has_systemd: bool = False  # booted a second time, with systemd as PID 1
    start_seconds_max: float = 25.0  # beside another guest

    @property
    def version(self) -> tuple[int, ...]:
        """The name as numbers: "6.12" is (6, 12)."""
        return tuple(map(int, self.name.split(".")))


@dataclass(frozen=True, slots=True)
class NativeKernel:
    """A kernel that is not booted: known by options that its configuration has off."""

    name: str
    options_off: tuple[str, ...]
    without: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kernels:
    """The whole file."""

    kernels: Mapping[str, Kernel]
    native: tuple[NativeKernel, ...]
    qemu: PackageSet
    smoke: tuple[str, ...]  # what pytest runs with --smoke


def load_kernels() -> Kernels:
    """The project's own file."""
    return parse_kernels(KERNELS_FILE.read_text())


def parse_kernels(text: str) -> Kernels:
    """The values of a file's text.

    Raises:
        KernelsError: with the section and the key.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise KernelsError(f"kernels.toml: {error}") from error
    qemu = _Section("qemu", data.pop("qemu", {}))
    packages = _packages(qemu)
    qemu.end()
    smoke = _Section("smoke", data.pop("smoke", {}))
    tests = tuple(smoke.take("tests", list))
    smoke.end()
    kernels = {
        name: _kernel(name, section) for name, section in data.pop("kernel", {}).items()
    }
    native = tuple(
        _native(name, section) for name, section in data.pop("native", {}).items()
    )
    _Section("kernels.toml", data).end()
    if not kernels:
        raise KernelsError("kernels.toml: no [kernel.NAME]")
    return Kernels(kernels, native, packages, tests)


# A table whose keys are taken one by one, so that what is left is a mistake.
class _Section:
    def __init__(self, name: str, table: Mapping[str, Any]) -> None:
        self.name = name
        self._left = dict(table)

    def take(self, key: str, kind: type, default: object = None) -> Any:
        value = self._left.pop(key, default)
        if not isinstance(value, kind):
            raise KernelsError(
                f"[{self.name}] {key}: {kind.__name__} is needed, not {value!r}"
            )
        return value

    def end(self) -> None:
        if self._left:
            raise KernelsError(f"[{self.name}] unknown: {', '.join(self._left)}")


def _packages(section: _Section) -> PackageSet:
    suites = tuple(section.take("suites", list))
    versions = section.take("packages", dict)
    if not suites or not versions:
        raise KernelsError(f"[{section.name}] needs suites and packages")
    return PackageSet(suites, versions, section.take("newest", str, ""))


def _kernel(name: str, table: Mapping[str, Any]) -> Kernel:
    section = _Section(f"kernel.{name}", table)
    kernel = Kernel(
        name,
        _packages(section),
        frozenset(section.take("features", list)),
        section.take("without", dict, {}),
        section.take("command_line", str, ""),
        section.take("systemd", bool, default=False),
        float(section.take("start_seconds_max", int, 25)),
    )
    section.end()
    if both := kernel.features & set(kernel.without):
        raise KernelsError(
            f"[{section.name}] in features and in without: {', '.join(sorted(both))}"
        )
    return kernel


def _native(name: str, table: Mapping[str, Any]) -> NativeKernel:
    section = _Section(f"native.{name}", table)
    kernel = NativeKernel(
        name,
        tuple(section.take("options_off", list)),
        section.take("without", dict),
    )
    section.end()
    if not kernel.options_off:
        raise KernelsError(f"[{section.name}] options_off: it would fit every kernel")
    return kernel
