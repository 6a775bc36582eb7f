# SPDX-License-Identifier: Apache-2.0
"""The mirror of the host's own apt."""

from __future__ import annotations

import pytest


def host(folder, **files):
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        (folder / name.replace("__", "/").replace("_", ".")).write_text(text)
    return folder


def test_deb822(sources, tmp_path):
    """A source in the new form is found, whatever stands around it."""
    text = "Types: deb\n# URIs: http://old/debian\nURIs: http://m/debian/\nSuites: x\n"
    apt = host(tmp_path)
    (apt / "sources.list.d" / "debian.sources").write_text(text)

    assert sources.archive_uri("debian", apt) == "http://m/debian"


def test_one_line(sources, tmp_path):
    """A source in the old form is found behind its options; a comment is none."""
    text = "# deb http://no/debian x main\ndeb [arch=amd64] http://m/debian x main\n"
    apt = host(tmp_path, sources_list=text)

    assert sources.archive_uri("debian", apt) == "http://m/debian"


def test_beside(sources, tmp_path):
    """An archive that the host does not use is beside the one that it does."""
    apt = host(tmp_path, sources_list="deb http://m/debian x main\n")

    assert sources.archive_uri("debian-security", apt) == "http://m/debian-security"


def test_none(sources, tmp_path):
    """A host without a Debian mirror is told so."""
    with pytest.raises(sources.SourceError, match="add one"):
        sources.archive_uri("debian", host(tmp_path))
