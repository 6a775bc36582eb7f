# SPDX-License-Identifier: Apache-2.0
"""Command lines and program names as texts.

In come the bytes of an exec event, out go the forms that the encoders share: the
arguments as Tetragon joins them, the same as a list, and the path of the binary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tetragon_py.events.process import Image

__all__ = [
    "SHOWN_ARGUMENTS_BYTES",
    "absolute_path",
    "binary_of",
    "join_arguments",
    "split_arguments",
]

#: Of argv, in all lines but the one of its own exec.
SHOWN_ARGUMENTS_BYTES = 4096


def join_arguments(argv: bytes, errors: str = "replace") -> str:
    """Join argv[1:] by spaces.

    An argument that is empty or contains a space stands between quotes; nothing is
    escaped, so the text cannot be split again for certain: see `split_arguments`.

    Args:
        argv: Each argument ended by NUL; the last one may lack it.
        errors: What `bytes.decode` does with bytes that are not UTF-8.
    """
    start = argv.find(b"\0") + 1
    if start in (0, len(argv)):
        return ""
    rest = argv[start:-1] if argv.endswith(b"\0") else argv[start:]
    # An empty argument stands between two NULs; argv[0] ends with the first one.
    if b" " in rest or argv.find(b"\0\0", start - 1) >= 0:
        rest = b"\0".join(
            b'"%b"' % argument if not argument or b" " in argument else argument
            for argument in rest.split(b"\0")
        )
    return rest.replace(b"\0", b" ").decode("utf-8", errors)


def split_arguments(argv: bytes) -> list[str]:
    """Return all of argv, argv[0] too; bytes that are not UTF-8 become U+FFFD."""
    if not argv:
        return []
    return argv.removesuffix(b"\0").decode("utf-8", "replace").split("\0")


def absolute_path(filename: bytes, cwd: bytes) -> bytes:
    """Put `cwd` before a relative `filename`; "./" goes, ".." and links stay.

    Without a known `cwd` the result starts with "./", so that a workload's file named
    "[kthreadd]" is never taken for a kernel thread.
    """
    if not filename or filename.startswith(b"/"):
        return filename
    while filename.startswith(b"./"):
        filename = filename[2:].lstrip(b"/")
    if not cwd:
        return b"./" + filename
    return (cwd if cwd.endswith(b"/") else cwd + b"/") + filename


def binary_of(image: Image) -> bytes:
    """Return the path of the program as executed, made absolute.

    Kernel threads are `[name]` and process 0 is `<kernel>`. b"" if nothing is known.
    """
    if image.is_kernel:
        return image.filename
    return absolute_path(image.filename, image.cwd)
