# SPDX-License-Identifier: Apache-2.0
"""Take the type information (BTF) out of a kernel image, and print it as C.

In comes the file /boot/vmlinuz of a kernel package: an x86 bzImage, an arm64 Image, or
one that decompresses itself (EFI zboot). Out comes the kernel's .BTF section as bytes;
it is found by its own header, so that no ELF file has to be taken apart.
"""

from __future__ import annotations

import lzma
import re
import shutil
import struct
import subprocess
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ImageError", "dump_header", "find_btf", "unpack_image"]

# struct btf_header: magic 0xeb9f, version 1, flags 0, hdr_len 24, then offset and
# length of types and strings, counted from its end.
_HEADER = struct.Struct("<HBBIIIII")
_HEADER_START = re.compile(re.escape(struct.pack("<HBBII", 0xEB9F, 1, 0, 24, 0)))
_PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ImageError(Exception):
    """A kernel image that cannot be read, or that carries no BTF."""


def unpack_image(image: bytes) -> bytes:
    """Return the kernel as it lies in memory: the image without its compression."""
    if image[0x202:0x206] == b"HdrS":  # x86 boot protocol, from 2.08 on
        sectors = image[0x1F1] or 4
        offset, length = struct.unpack_from("<II", image, 0x248)
        start = (sectors + 1) * 512 + offset
        # The build appends the unpacked size: 4 bytes that are no part of the stream.
        return _decompress(image[start : start + length], appended=4)
    if image[4:8] == b"zimg":  # EFI zboot: payload offset and size, then its type
        start, length = struct.unpack_from("<II", image, 8)
        return _decompress(image[start : start + length])
    if image[:2] == b"\x1f\x8b":
        return _decompress(image)
    return image


def _decompress(stream: bytes, appended: int = 0) -> bytes:
    try:
        if stream[:2] == b"\x1f\x8b":
            return zlib.decompressobj(wbits=31).decompress(stream)
        if stream[:6] == b"\xfd7zXZ\0":
            return lzma.LZMADecompressor().decompress(stream)
        if stream[:4] == b"\x28\xb5\x2f\xfd":
            frame = stream[: len(stream) - appended]
            return _run("zstd", "-dcq", stdin=frame)
    except (zlib.error, lzma.LZMAError) as error:
        raise ImageError(f"damaged kernel image: {error}") from error
    raise ImageError(f"unknown compression of the kernel image: {stream[:8].hex(' ')}")


def find_btf(kernel: bytes) -> bytes:
    """Return the largest well-formed BTF blob: a kernel may embed small ones too."""
    best = b""
    for match in _HEADER_START.finditer(kernel):
        blob = _read_blob(kernel, match.start())
        best = max(best, blob, key=len)
    if not best:
        raise ImageError("the kernel image has no BTF: CONFIG_DEBUG_INFO_BTF is off")
    return best


# The blob whose header is at `start`; empty when the header contradicts itself.
def _read_blob(kernel: bytes, start: int) -> bytes:
    if start + _HEADER.size > len(kernel):
        return b""
    fields = _HEADER.unpack_from(kernel, start)
    types_length, strings_offset, strings_length = fields[5:]
    end = start + _HEADER.size + strings_offset + strings_length
    if strings_offset < types_length or not strings_length or end > len(kernel):
        return b""
    strings = start + _HEADER.size + strings_offset
    if kernel[strings] or kernel[end - 1]:  # first string is empty, all end with 0
        return b""
    return kernel[start:end]


def dump_header(btf: Path) -> str:
    """Print a file of raw BTF as a C header (bpftool)."""
    return _run("bpftool", "btf", "dump", "file", str(btf), "format", "c").decode()


def _run(program: str, *arguments: str, stdin: bytes = b"") -> bytes:
    path = shutil.which(program, path=_PROGRAM_PATH)
    if path is None:
        raise ImageError(f"{program} is not installed: apt install {program}")
    # Only the arguments above: no shell, nothing of a user's.
    done = subprocess.run(  # noqa: S603
        [path, *arguments], input=stdin, capture_output=True, check=False
    )
    if done.returncode:
        raise ImageError(f"{program} failed: {done.stderr.decode().strip()}")
    return done.stdout
