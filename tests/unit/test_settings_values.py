# SPDX-License-Identifier: Apache-2.0
"""How values are written: what is read, what is refused, how it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetragon_py.settings_values import (
    ByteSize,
    Duration,
    FileMode,
    format_size,
    refuse_nul,
    split_names,
    split_paths,
)

AGE = Duration(1, 365 * 86400)
MODE = FileMode()
SIZE = ByteSize(4096, 1 << 30)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("0h0m0s", 0),
        ("24h", 86400),
        ("24h0m0s", 86400),
        ("1h30m", 5400),
        (" 90s ", 90),
        ("90", 90),
        (90, 90),
        (90.0, 90),
        ("8760h", 365 * 86400),
    ],
)
def test_durations(text, seconds):
    """As Go writes them, or seconds."""
    assert AGE(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "h", "1d", "-1s", "1.5h", "1s1h", "8761h", "1h 2m", "9" * 30, "x"]
)
def test_wrong_durations(text):
    """The message says what is allowed."""
    with pytest.raises(ValueError, match="0s or a duration from 1s to 8760h, such as"):
        AGE(text)


@given(st.integers(1, 365 * 86400))
def test_duration_is_shown_as_it_is_written(seconds):
    """What is shown can be typed."""
    assert AGE(AGE.format(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "mode"),
    [("600", 0o600), ("0640", 0o640), (640, 0o640), ("664", 0o664), ("0604", 0o604)],
)
def test_modes(text, mode):
    """Octal, as a text or as YAML's number."""
    assert MODE(text) == mode
    assert MODE(MODE.format(mode)) == mode


@pytest.mark.parametrize(
    # 384 and 416 are what YAML makes of 0600 and 0640
    "text",
    [
        "",
        "60",
        "6000",
        "666",
        "602",
        "700",
        "640x",
        "0o600",
        "400",
        "888",
        384,
        416,
    ],
)
def test_wrong_modes(text):
    """Nobody else may write, nobody executes."""
    with pytest.raises(ValueError, match="600, 640, 660"):
        MODE(text)


@pytest.mark.parametrize(
    ("text", "size"), [("4096", 4096), ("64K", 65536), ("1g", 1 << 30), (8192, 8192)]
)
def test_sizes(text, size):
    """With a unit or without."""
    assert SIZE(text) == size
    assert SIZE(SIZE.format(size)) == size


@pytest.mark.parametrize("text", ["", "4095", "5000", "2G", "64KB", "-1", "1T"])
def test_wrong_sizes(text):
    """Powers of two between the limits."""
    with pytest.raises(ValueError, match="a power of two from 4K to 1G"):
        SIZE(text)


def test_sizes_in_steps():
    """Other multiples too."""
    steps = ByteSize(8, 64, step=8)

    assert steps("24") == 24
    with pytest.raises(ValueError, match="a multiple of 8 from 8 to 64"):
        steps("25")


def test_size_is_shown_in_the_largest_unit():
    """That divides it."""
    sizes = (1, 1025, 2048, 3 << 20, 1 << 30)

    assert [format_size(size) for size in sizes] == ["1", "1025", "2K", "3M", "1G"]


def test_lists():
    """Texts are split, lists are taken, everything else is left to others."""
    assert split_names("A, B") == ("A", "B")
    assert split_names(["A", 1]) == ("A", "1")
    assert split_names(5) == 5
    assert split_paths("a,b/c") == ("a", "b/c")
    assert split_paths([Path("a")]) == ("a",)
    assert split_paths({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("split", "value"),
    [
        (split_names, "A,,B"),
        (split_names, "A=1"),
        (split_names, "A\0"),
        (split_paths, "a,,b"),
        (split_paths, "a\0"),
        (split_paths, [1]),
        (refuse_nul, Path("a\0b")),
    ],
)
def test_wrong_lists(split, value):
    """No empty parts, nothing that the kernel would not take."""
    with pytest.raises(ValueError, match=r"^$"):
        split(value)


def test_path():
    """A right one is left as it is."""
    assert refuse_nul(Path("/x")) == Path("/x")
