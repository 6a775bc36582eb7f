# SPDX-License-Identifier: Apache-2.0
"""The ELF file inside of an x86 bzImage, whatever it was compressed with.

LZ4, of Debian's 5.10, is done here, with the library that apt and systemd bring along;
all else by vmlinux/btf.py.
"""

from __future__ import annotations

import ctypes
import struct

from vmlinux.btf import ImageError, unpack_image

__all__ = ["unpack_kernel"]

_LZ4_LEGACY = b"\x02\x21\x4c\x18"
_BLOCK_MAX = 8 << 20


def unpack_kernel(image: bytes) -> bytes:
    """The kernel as an ELF file.

    Raises:
        ImageError: it is no bzImage, or damaged.
    """
    if image[0x202:0x206] != b"HdrS":
        raise ImageError("not an x86 kernel image")
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * 512 + offset
    payload = image[start : start + length]
    is_lz4 = payload.startswith(_LZ4_LEGACY)
    # The build appends the unpacked size.
    kernel = _unpack_lz4(payload[4:-4]) if is_lz4 else unpack_image(image)
    if not kernel.startswith(b"\x7fELF"):
        raise ImageError("the kernel image holds no ELF file")
    return kernel


# Blocks of the legacy form: compressed size, then so many bytes.
def _unpack_lz4(blocks: bytes) -> bytes:
    library = ctypes.CDLL("liblz4.so.1")
    block = ctypes.create_string_buffer(_BLOCK_MAX)
    unpacked = bytearray()
    at = 0
    while at + 4 <= len(blocks):
        (size,) = struct.unpack_from("<I", blocks, at)
        packed = blocks[at + 4 : at + 4 + size]
        at += 4 + size
        count = library.LZ4_decompress_safe(packed, block, len(packed), _BLOCK_MAX)
        if count < 0:
            raise ImageError("damaged kernel image: LZ4")
        unpacked += block.raw[:count]
    return bytes(unpacked)
