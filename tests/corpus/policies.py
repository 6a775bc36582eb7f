# SPDX-License-Identifier: Apache-2.0
"""The published policies, as the loader reads them.

Placeholders are filled in as their documentation says.
"""

from __future__ import annotations

import re
from dataclasses import replace

from tests.corpus.folder import CORPUS
from tetragon_py.policy.documents import load_text
from tetragon_py.policy.loaded import LoadResult
from tetragon_py.policy.model.policy import PolicyKind

__all__ = ["corpus_files", "read_example", "unique_text"]

#: network_egress_cluster.yaml's own comment names these networks.
_PLACEHOLDERS = {b"${PODCIDR}": b"10.44.0.0/14", b"${SERVICECIDR}": b"10.48.0.0/20"}

#: The line "spec:", what is empty or a comment, and the options if they come first.
_SPEC = re.compile(
    rb"^(?P<head>spec:[ ]*\n(?:[ ]*(?:#.*)?\n)*)"
    rb"(?P<indent>[ ]+)(?P<options>options:\n)?",
    re.MULTILINE,
)


def corpus_files() -> list[str]:
    """The paths of all files in the folder, relative to it."""
    found = (path for path in CORPUS.rglob("*") if path.is_file())
    return sorted(path.relative_to(CORPUS).as_posix() for path in found)


def read_example(file: str, *, on_host: bool = False) -> LoadResult:
    """Read a file of the folder, in monitor mode.

    Args:
        file: Its path there.
        on_host: Read a namespaced policy as one for the host.
    """
    result = load_text(_text(file), file)
    if not on_host:
        return result
    changed = {"kind": PolicyKind.TRACING_POLICY}
    policies = tuple(
        replace(loaded, policy=loaded.policy.model_copy(update=changed))
        for loaded in result.policies
    )
    return LoadResult(policies, result.diagnostics)


def unique_text(file: str) -> tuple[str, bytes]:
    """A file's text with a name that no other file has, and that name."""
    [loaded] = read_example(file).policies
    name = loaded.policy.name
    unique = file.rpartition(".")[0].replace("/", ".").replace("_", "-").lower()
    lines = _text(file).split(b"\n")
    for number, line in enumerate(lines):
        key, _, value = line.partition(b":")
        if key.strip() == b"name" and value.strip().strip(b"\"'") == name.encode():
            lines[number] = key + b": " + unique.encode()
            return unique, b"\n".join(lines)
    raise AssertionError(f"{file}: no line with the name {name}")


def _text(file: str) -> bytes:
    """A file without placeholders, in monitor mode."""
    data = (CORPUS / file).read_bytes()
    for name, value in _PLACEHOLDERS.items():
        data = data.replace(name, value)
    return _SPEC.sub(_in_monitor_mode, data)


def _in_monitor_mode(found: re.Match[bytes]) -> bytes:
    head, indent, options = found["head"], found["indent"], found["options"]
    mode = b"options:\n" + indent + b"- {name: policy-mode, value: monitor}\n"
    return head + indent + mode + (b"" if options else indent)
