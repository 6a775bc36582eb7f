# SPDX-License-Identifier: Apache-2.0
"""One line per event, whatever the workload puts into it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import NO_CREDENTIALS, exec_event, exit_event, process_of
from tetragon_py.encode.compact import CompactEncoder, _columns
from tetragon_py.encode.timestamp import Timestamps
from tetragon_py.events.agent import (
    HeartbeatEvent,
    LossEvent,
    PolicyChangeEvent,
    PolicyProblem,
)

if TYPE_CHECKING:
    from tetragon_py.events.process import Credentials, Process

SYS_ADMIN = NO_CREDENTIALS._replace(effective=1 << 21)
PERMITTED = NO_CREDENTIALS._replace(permitted=1 << 21)


def process(
    filename: bytes = b"/usr/bin/curl",
    arguments: bytes = b"curl\0",
    credentials: Credentials = NO_CREDENTIALS,
    cwd: bytes = b"/root",
    **changes,
) -> Process:
    """A process of which only the image's texts and credentials matter."""
    event = exec_event(
        filename=filename, arguments=arguments, cwd=cwd, credentials=credentials
    )
    return process_of(event, **changes)


def loss(cause: str = "ring_full", kind: str = "exec", count: int = 3) -> LossEvent:
    return LossEvent("lifecycle", cause, {kind: count}, 1_000, 9_000)


@pytest.fixture
def plain() -> CompactEncoder:
    return CompactEncoder("vm", color=False, timestamps=None)


def exec_text(encoder: CompactEncoder, shown: Process) -> str:
    return encoder.exec_line(shown).decode()


@pytest.mark.parametrize(
    ("filename", "arguments", "text"),
    [
        (b"/usr/bin/curl", b"curl\0cilium.io\0", "/usr/bin/curl cilium.io"),
        (b"/usr/bin/curl", b"curl\0", "/usr/bin/curl"),
        (b"./x", b"./x\0", "/root/x"),
        (b"/bin/chmod", b"chmod\x00755\0x\0", '/bin/chmod "755 x"'),
        (b"/s", b"s\0/s\0one\0two three\0", r'/s "/s one \"two three\""'),
        (b"/s", b"s\0a\\b\0", r"/s a\b"),
        (b"/s", b"s\0a\\b\0c\0", r'/s "a\\b c"'),
        (b"/s", b"s\0a b\0", r'/s "\"a b\""'),
        (b"/s", b's\0"a"\0', r'/s "\"a\""'),
        (b"/s", b's\0{"a":1}\0', r'/s {"a":1}'),
        (b"/s", b"s\0\0", r'/s "\"\""'),
        (b"/a b", b"s\0", '"/a b"'),
        (b"/\n", b"s\0\x1b[31m\0", r'"/\n" "\x1b[31m"'),
        (b"/\x7f\x00\x07\b\v\f\r\t", b"s\0", r'"/\x7f\x00\a\b\v\f\r\t"'),
        (
            "/\u0085\u202e\u2066\ufeff\U000e0001".encode(),
            b"s\0",
            r'"/\u0085\u202e\u2066\ufeff\U000e0001"',
        ),
        (b"/\xff\xc3", b"s\0\xfe\0", r'"/\xff\xc3" "\xfe"'),
        ("/ä日🚀".encode(), b"s\0", "/ä日🚀"),
        ("/a\u00a0b".encode(), b"s\0", r'"/a\u00a0b"'),
        (b"", b"", "<unknown:42>"),
    ],
)
def test_exec_line_is_safe_and_readable(plain, filename, arguments, text):
    """Plain values stay as they are; all others are quoted as Go does."""
    assert f"🚀 process vm {text}\n" == exec_text(plain, process(filename, arguments))


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "0"),
        (1 << 8, "1"),
        (255 << 8, "255"),
        (9, "SIGKILL"),
        (11 | 0x80, "SIGSEGV"),
        (34, "SIGRTMIN"),
        (64, "SIGRTMIN+30"),
        (32, "SIG32"),
    ],
)
def test_exit_line_tells_how_the_process_ended(plain, status, text):
    """A signal is told by name, an exit by its code, after exactly one space."""
    with_arguments = process(arguments=b"curl\0a\0")

    assert f"💥 exit    vm /usr/bin/curl {text}\n".encode() == plain.exit_line(
        process(), exit_event(status=status)
    )
    assert f"💥 exit    vm /usr/bin/curl a {text}\n".encode() == plain.exit_line(
        with_arguments, exit_event(status=status)
    )


def test_loss_line_says_what_was_lost(plain):
    """A loss is told in one line, and its words cannot break it either."""
    event = LossEvent("lifecycle", "ring_full", {"fork": 2, "exec": 1}, 0, 0)

    assert plain.loss_line(event).decode() == (
        "⚠ lost    vm 3 events of lifecycle: ring_full (2 fork, 1 exec)\n"
    )


def test_lines_about_the_agent(plain):
    """What became of the policies, and how the agent does."""
    change = PolicyChangeEvent(
        *("applied", "sighup", 0, 2, "ab", 3, 4), added=("a", "b"), removed=("c",)
    )
    problems = (PolicyProblem("bad"),) * 2
    refused = PolicyChangeEvent(
        *("refused", "sighup", 0, 2, "ab", 3, 4), problems=problems
    )

    assert plain.policy_change_line(change).decode() == (
        "📜 policy  vm applied: 3 policies on 4 hooks (2 added, 1 removed)\n"
    )
    assert plain.policy_change_line(refused).decode() == (
        "⚠ policy  vm refused: 3 policies on 4 hooks (2 errors)\n"
    )
    assert plain.heartbeat_line(HeartbeatEvent(0, {"problems": []})).decode() == (
        "💓 agent   vm well\n"
    )
    hostile = HeartbeatEvent(0, {"problems": ["a\nb", "c"]})
    assert plain.heartbeat_line(hostile).decode() == '💓 agent   vm "a\\nb; c"\n'


def test_timestamps_come_first():
    """With timestamps the line starts with the time of the event."""
    encoder = CompactEncoder("vm", color=False, timestamps=Timestamps(0))
    time = "1970-01-01T00:00:00.00000"

    assert exec_text(encoder, process()).startswith(f"{time}5000Z 🚀 process vm /usr/")
    line = encoder.exit_line(process(), exit_event()).decode()
    assert line.startswith(f"{time}9000Z 💥 exit")
    assert encoder.loss_line(loss()).decode().startswith(f"{time}9000Z ⚠ lost")


def test_node_name_is_escaped():
    """A host name is a text from outside too."""
    encoder = CompactEncoder("v\nm\udcff", color=False, timestamps=None)

    assert exec_text(encoder, process()) == '🚀 process "v\\nm\\xff" /usr/bin/curl\n'


def test_colors_are_tetragons():
    """Event word blue, node green, binary magenta, arguments cyan, status red."""
    encoder = CompactEncoder("vm", color=True, timestamps=None)
    line = encoder.exit_line(
        process(arguments=b"curl\0a\0"), exit_event(status=9)
    ).decode()

    assert line == (
        "\x1b[34m💥 exit   \x1b[0m \x1b[32mvm\x1b[0m \x1b[35m/usr/bin/curl\x1b[0m "
        "\x1b[36ma\x1b[0m \x1b[31mSIGKILL\x1b[0m\n"
    )
    assert encoder.loss_line(loss()).decode().startswith("\x1b[31m⚠ lost   \x1b[0m")


@pytest.mark.parametrize("color", [False, True])
def test_trailer_stands_in_one_column(color):
    """CAP_SYS_ADMIN starts in the same column, whatever width the text has."""
    encoder = CompactEncoder("vm", color=color, timestamps=None)
    columns = set()
    for name in (b"/a", b"/usr/bin/curl", "/ä".encode(), "/日本".encode()):
        line = exec_text(encoder, process(name, credentials=SYS_ADMIN))
        before, _, after = re.sub("\x1b\\[[0-9]+m", "", line).partition("🛑")
        wide = sum(char in "🚀日本" for char in before)
        columns.add(len(before) + wide)

        assert after == " CAP_SYS_ADMIN\n"

    assert columns == {120}


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("日本", 4), ("ä\u0301", 1), ("⚠", 1), ("🚀", 2)]
)
def test_columns_are_those_of_a_terminal(text, columns):
    """Wide characters count twice, marks over a letter not at all."""
    assert columns == _columns(text)


def test_combining_marks_have_no_width(plain):
    """A mark over the letter before it does not move the trailer."""
    line = exec_text(plain, process("/a\u0301".encode(), credentials=SYS_ADMIN))

    assert line.index("🛑") == 120  # one character more, one wide character less


def test_long_line_has_its_trailer_after_one_space(plain):
    """A text beyond the column is followed by the trailer at once."""
    line = exec_text(plain, process(b"/" + b"a" * 130, credentials=SYS_ADMIN))

    assert line.endswith("a 🛑 CAP_SYS_ADMIN\n")


@pytest.mark.parametrize(
    "shown",
    [
        process(),
        process(credentials=PERMITTED),
        process(credentials=SYS_ADMIN, known=False),
    ],
)
def test_no_trailer_without_the_effective_capability(plain, shown):
    """Only a capability that is in effect, and known, is told."""
    assert exec_text(plain, shown) == "🚀 process vm /usr/bin/curl\n"


@given(
    filename=st.binary(),
    arguments=st.binary(),
    cwd=st.binary(),
    node=st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    color=st.booleans(),
    status=st.integers(0, 0xFFFF),
)
def test_any_bytes_give_one_harmless_line(
    filename, arguments, cwd, node, color, status
):
    """Nothing that a workload says ends the line or steers the terminal."""
    encoder = CompactEncoder(node, color=color, timestamps=Timestamps(0))
    shown = process(filename, arguments, SYS_ADMIN, cwd)
    for line in (
        encoder.exec_line(shown),
        encoder.exit_line(shown, exit_event(status=status)),
        encoder.loss_line(loss()),
    ):
        decoded = line.decode()
        if color:
            decoded = re.sub("\x1b\\[(?:0|3[1-6])m", "", decoded)

        assert decoded.endswith("\n")
        assert decoded[:-1].isprintable()


@given(st.text())
def test_quoting_can_be_undone(text):
    """A quoted binary is told exactly: the escapes lead back to its bytes."""
    encoder = CompactEncoder("n", color=False, timestamps=None)
    value = f"/ {text}".encode("utf-8", "replace")
    line = exec_text(encoder, process(value, b""))
    quoted = line.removeprefix('🚀 process n "').removesuffix('"\n')
    names = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f"}
    names |= {"r": "\r", '"': '"', "\\": "\\"}

    def plain(match: re.Match[str]) -> str:
        return names.get(match[1]) or chr(int(match[1][1:], 16))

    back = re.sub(
        r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)", plain, quoted
    ).encode()

    assert value == back
