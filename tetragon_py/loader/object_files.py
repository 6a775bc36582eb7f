# SPDX-License-Identifier: Apache-2.0
"""The compiled BPF objects that the package carries, checked against their digests."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from tetragon_py.errors import TetragonError

__all__ = ["abi_digest", "objects_digest", "read_object"]


def read_object(name: str) -> bytes:
    """The bytes of objects/<name>.bpf.o.

    The file is read once; what was checked is what is loaded.

    Raises:
        TetragonError: it is missing, or not the one that was built.
    """
    folder = files("tetragon_py.loader") / "objects"
    file_name = f"{name}.bpf.o"
    try:
        image = (folder / file_name).read_bytes()
        listed = (folder / "sha256sums").read_text()
    except FileNotFoundError as error:
        raise TetragonError(
            f"BPF object {error.filename} is missing: build it with `make`, "
            "or install the package again"
        ) from error
    wanted = {entry[1]: entry[0] for entry in map(str.split, listed.splitlines())}
    if wanted.get(file_name) != hashlib.sha256(image).hexdigest():
        raise TetragonError(
            f"BPF object {file_name} differs from the one that was built: "
            "install the package again"
        )
    return image


def objects_digest() -> str:
    """SHA-256 of the list of all objects: another one is another version."""
    folder = files("tetragon_py.loader") / "objects"
    return hashlib.sha256((folder / "sha256sums").read_bytes()).hexdigest()


def abi_digest() -> str:
    """SHA-256 of what both sides know of maps and records."""
    generated = files("tetragon_py.abi") / "_generated.py"
    return hashlib.sha256(generated.read_bytes()).hexdigest()
