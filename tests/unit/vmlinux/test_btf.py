# SPDX-License-Identifier: Apache-2.0
"""How vmlinux/btf.py opens kernel images and finds the BTF in them."""

from __future__ import annotations

import gzip
import lzma
import shutil
import struct
import subprocess

import pytest

TYPES = bytes(range(64))
STRINGS = b"\0task_struct\0int\0"


def blob(types=TYPES, strings=STRINGS, strings_offset=None):
    offset = len(types) if strings_offset is None else strings_offset
    header = struct.pack(
        "<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), offset, len(strings)
    )

    return header + types + strings


def bz_image(payload):
    image = bytearray(0x400)
    image[0x1F1] = 1
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, 16, len(payload))

    return bytes(image) + bytes(16) + payload + b"after the payload"


def z_boot(payload):
    head = b"MZ\0\0zimg" + struct.pack("<II", 64, len(payload))

    return head.ljust(64, b"\0") + payload + b"after the payload"


def zstd(content):
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")

    return subprocess.run(
        ["zstd", "-cq"], input=content, capture_output=True, check=True
    ).stdout


def with_size(stream, content):
    return stream + struct.pack("<I", len(content))


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, zstd])
def test_bz_image(btf, compress):
    """An x86 bzImage is unpacked whatever its compression, with its size appended."""
    kernel = b"\x7fELF" + bytes(5000)

    unpacked = btf.unpack_image(bz_image(with_size(compress(kernel), kernel)))

    assert unpacked == kernel


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_z_boot(btf, compress):
    """An EFI zboot image is unpacked: its payload has no size appended."""
    kernel = bytes(56) + b"ARMd" + bytes(5000)

    assert btf.unpack_image(z_boot(compress(kernel))) == kernel


def test_plain_images(btf):
    """A plain arm64 Image is taken as it is, a gzipped one is unpacked."""
    kernel = bytes(56) + b"ARMd" + bytes(5000)

    assert btf.unpack_image(kernel) == kernel
    assert btf.unpack_image(gzip.compress(kernel)) == kernel


def test_unknown_compression_is_refused(btf):
    """A payload of an unknown kind is an error that shows its first bytes."""
    with pytest.raises(btf.ImageError, match="02 21 4c 18"):
        btf.unpack_image(bz_image(b"\x02\x21\x4c\x18" + bytes(100)))


def test_damage_is_refused(btf):
    """A damaged stream is an error of this module, not of the decompressor."""
    with pytest.raises(btf.ImageError, match="damaged"):
        btf.unpack_image(bz_image(b"\x1f\x8b" + bytes(100)))


def test_largest_blob_wins(btf):
    """The kernel's own types are taken, not those of a program embedded in it."""
    kernel = bytes(100) + blob(types=b"small") + bytes(7) + blob() + bytes(100)

    assert btf.find_btf(kernel) == blob()


@pytest.mark.parametrize(
    "decoy",
    [
        blob(strings=b"\0not terminated"),
        blob(strings=b"no empty string\0"),
        blob(strings=b""),
        blob(strings_offset=3),
        blob(strings_offset=1 << 30),
        blob()[:10],
    ],
)
def test_no_blob(btf, decoy):
    """Bytes that only begin like BTF are refused."""
    with pytest.raises(btf.ImageError, match="no BTF"):
        btf.find_btf(bytes(100) + decoy)
