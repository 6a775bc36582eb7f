# SPDX-License-Identifier: Apache-2.0
"""libbpf for Python: bytes in, bytes out; knows no policy and no event.

The only package that talks to C. Every result of a C function is checked on the next
line; errors leave as `KernelError` with the function's name.
"""

from tetragon_py.libbpf._libbpf import lib as _lib
from tetragon_py.libbpf.maps import Map, PinnedMap
from tetragon_py.libbpf.objects import BpfObject
from tetragon_py.libbpf.programs import Link, PinnedProgram, Program
from tetragon_py.libbpf.ringbuf import Batch, RingBuffer

__all__ = [
    "Batch",
    "BpfObject",
    "Link",
    "Map",
    "PinnedMap",
    "PinnedProgram",
    "Program",
    "RingBuffer",
    "libbpf_version",
]


def libbpf_version() -> str:
    """The version of the shared library in use, such as "1.1"."""
    return f"{_lib.libbpf_major_version()}.{_lib.libbpf_minor_version()}"
