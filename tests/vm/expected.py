# SPDX-License-Identifier: Apache-2.0
"""What kernels.toml says of the kernel that runs the tests.

In a guest the runner names the kernel (TETRAGON_TEST_KERNEL); else it is known by its
own configuration, or not at all: then nothing is excused.
"""

from __future__ import annotations

import gzip
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm.kernels import load_kernels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.vm.kernels import Kernel

__all__ = ["KERNEL_VARIABLE", "configured_without", "guest_kernel", "options_are_off"]

#: The name of the kernel's section; set in guests only.
KERNEL_VARIABLE = "TETRAGON_TEST_KERNEL"


def configured_without(feature: str) -> bool:
    """Whether the running kernel is old enough for a feature but built without it."""
    return feature in _without()


def guest_kernel() -> Kernel | None:
    """The section of the running kernel, None outside of guests.

    Raises:
        KeyError: the variable names no kernel.
    """
    name = os.environ.get(KERNEL_VARIABLE)
    return load_kernels().kernels[name] if name else None


def options_are_off(configuration: str, options: tuple[str, ...]) -> bool:
    """Whether none of the options is y or m in a kernel's configuration."""
    return not any(
        re.search(rf"^{re.escape(option)}=", configuration, re.MULTILINE)
        for option in options
    )


@cache
def _without() -> Mapping[str, str]:
    if kernel := guest_kernel():
        return kernel.without
    configuration = _configuration()
    if configuration:
        for native in load_kernels().native:
            if options_are_off(configuration, native.options_off):
                return native.without
    return {}


def _configuration() -> str:
    packed = Path("/proc/config.gz")
    plain = Path(f"/boot/config-{os.uname().release}")
    try:
        if packed.exists():
            return gzip.decompress(packed.read_bytes()).decode()
        return plain.read_text()
    except OSError:
        return ""
