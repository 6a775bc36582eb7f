# SPDX-License-Identifier: Apache-2.0
"""Texts of a workload as JSON: exact, and harmless at a terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetragon_py.abi._generated import PATH_CUT, PATH_DELETED
from tetragon_py.encode.text import json_string, json_value, marked_path

CONTROLS = frozenset(chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)))
CONTROL_TEXT = st.text() | st.text(st.sampled_from([*sorted(CONTROLS), "a", "ä", "Â"]))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", b'""'),
        (b"/usr/bin", b'"/usr/bin"'),
        (b'a"\\', b'"a\\"\\\\"'),
        (b"\n\t\x1b\0", b'"\\n\\t\\u001b\\u0000"'),
        (b"\x7f", b'"\\u007f"'),
        ("ä\u0085".encode(), b'"\xc3\xa4\\u0085"'),
        (b"\xc2\x9b1m", b'"\\u009b1m"'),
        (b"\xc2\xa0", b'"\xc2\xa0"'),
        (b"\xff\x7f", b'"\xef\xbf\xbd\\u007f"'),
    ],
)
def test_bytes_become_a_json_string(raw, expected):
    """Controls are escaped, also those that JSON allows; bad UTF-8 is U+FFFD."""
    assert expected == json_string(raw)


@given(CONTROL_TEXT)
def test_texts_come_back(text):
    """Escaping loses nothing."""
    quoted = json_value(text)

    assert text == json.loads(quoted)
    assert not CONTROLS & set(quoted.decode())
    assert quoted == json_string(text.encode())


@given(st.dictionaries(CONTROL_TEXT, st.lists(CONTROL_TEXT) | st.integers(0, 2**32)))
def test_objects_come_back(value):
    """Keys and nested texts are as harmless as texts."""
    dumped = json_value(value)

    assert value == json.loads(dumped)
    assert not CONTROLS & set(dumped.decode())


@given(st.binary())
def test_any_bytes_are_shown(raw):
    """Bytes that are not UTF-8 are replaced, never refused."""
    assert raw.decode("utf-8", "replace") == json.loads(json_string(raw))


def test_deleted_paths_say_so():
    """The mark is that of /proc."""
    assert marked_path(b"/a", PATH_DELETED | PATH_CUT) == b"/a (deleted)"
    assert marked_path(b"/a", PATH_CUT) == b"/a"
