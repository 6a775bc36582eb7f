# SPDX-License-Identifier: Apache-2.0
"""One line per event, whatever the workload puts into it."""

from __future__ import annotations

import dataclasses
import re
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetragon_py.encode.compact import CompactEncoder, _columns, signal_name
from tetragon_py.events.process import (
    CgroupInfo,
    Credentials,
    ExecEvent,
    Namespaces,
    Process,
    ProcessKey,
)

TIME = "2026-11-21T20:08:24.504155579Z"
CREDENTIALS = Credentials(*[0] * 15)
SYS_ADMIN = CREDENTIALS._replace(effective=1 << 21)
PERMITTED = CREDENTIALS._replace(permitted=1 << 21)


def process(
    filename: bytes = b"/usr/bin/curl",
    arguments: bytes = b"curl\0",
    credentials: Credentials = CREDENTIALS,
    cwd: bytes = b"/root",
    **changes,
) -> Process:
    """A process of which only the image's texts and credentials matter."""
    key = ProcessKey(1, 42)
    image = ExecEvent(
        boottime_ns=0,
        process=key,
        parent=ProcessKey(1, 1),
        flags=0,
        nspid=0,
        tid_before=0,
        filename=filename,
        interpreter=b"",
        executable=b"",
        executable_flags=0,
        cwd=cwd,
        cwd_flags=0,
        tty=b"",
        cgroup_path=b"",
        cgroup_id=0,
        arguments=arguments,
        arguments_bytes=len(arguments),
        environment=b"",
        environment_bytes=0,
        inode=0,
        links=1,
        device=0,
        mode=0,
        credentials=credentials,
        namespaces=Namespaces(*[0] * 10),
        cpu=0,
        sequence=0,
    )
    made = Process(
        key=key,
        exec_id=b"",
        image=image,
        parent=None,
        parent_exec_id=b"",
        cgroup=CgroupInfo(*[""] * 7),
        namespaces=image.namespaces,
        in_init_tree=False,
        forked=False,
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture
def plain() -> CompactEncoder:
    return CompactEncoder(b"vm", color=False, timestamps=False)


def exec_text(encoder: CompactEncoder, shown: Process) -> str:
    return encoder.exec_line(shown, TIME).decode()


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
        process(), status, TIME
    )
    assert f"💥 exit    vm /usr/bin/curl a {text}\n".encode() == plain.exit_line(
        with_arguments, status, TIME
    )


def test_signal_names_are_the_systems():
    """Each signal that the system names has that name."""
    for number in signal.Signals:
        if number < signal.SIGRTMIN:
            assert number.name == signal_name(number)


def test_loss_line_tells_the_text(plain):
    """Loss is told in words, and cannot break the line either."""
    assert plain.loss_line('3 events\n"a"\u202e\\', TIME).decode() == (
        '⚠ lost    vm 3 events\\n"a"\\u202e\\\n'
    )
    assert plain.loss_line("", TIME).decode() == "⚠ lost    vm\n"


def test_timestamps_come_first():
    """With timestamps the line starts with the time."""
    encoder = CompactEncoder("vm", color=False, timestamps=True)

    assert f"{TIME} 🚀 process vm /usr/bin/curl\n" == exec_text(encoder, process())


def test_node_name_is_escaped():
    """A host name is a text from outside too."""
    encoder = CompactEncoder(b"v\nm\xff", color=False, timestamps=False)

    assert exec_text(encoder, process()) == '🚀 process "v\\nm\\xff" /usr/bin/curl\n'


def test_colors_are_tetragons():
    """Event word blue, node green, binary magenta, arguments cyan, status red."""
    encoder = CompactEncoder("vm", color=True, timestamps=False)
    line = encoder.exit_line(process(arguments=b"curl\0a\0"), 9, TIME).decode()

    assert line == (
        "\x1b[34m💥 exit   \x1b[0m \x1b[32mvm\x1b[0m \x1b[35m/usr/bin/curl\x1b[0m "
        "\x1b[36ma\x1b[0m \x1b[31mSIGKILL\x1b[0m\n"
    )
    assert encoder.loss_line("x", TIME).decode().startswith("\x1b[31m⚠ lost   \x1b[0m")


@pytest.mark.parametrize("color", [False, True])
def test_trailer_stands_in_one_column(color):
    """CAP_SYS_ADMIN starts in the same column, whatever width the text has."""
    encoder = CompactEncoder("vm", color=color, timestamps=False)
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
        process(
            image=dataclasses.replace(
                process(credentials=SYS_ADMIN).image, errors={"credentials": 14}
            )
        ),
    ],
)
def test_no_trailer_without_the_effective_capability(plain, shown):
    """Only a capability that is in effect, and known, is told."""
    assert exec_text(plain, shown) == "🚀 process vm /usr/bin/curl\n"


@given(
    filename=st.binary(),
    arguments=st.binary(),
    cwd=st.binary(),
    node=st.binary(),
    text=st.text(st.characters(exclude_categories=[])),
    color=st.booleans(),
    status=st.integers(0, 0xFFFF),
)
def test_any_bytes_give_one_harmless_line(
    filename, arguments, cwd, node, text, color, status
):
    """Nothing that a workload says ends the line or steers the terminal."""
    encoder = CompactEncoder(node, color=color, timestamps=True)
    shown = process(filename, arguments, SYS_ADMIN, cwd)
    for line in (
        encoder.exec_line(shown, TIME),
        encoder.exit_line(shown, status, TIME),
        encoder.loss_line(text, TIME),
    ):
        decoded = line.decode()
        if color:
            decoded = re.sub("\x1b\\[(?:0|3[1-6])m", "", decoded)

        assert decoded.endswith("\n")
        assert decoded[:-1].isprintable()


@given(st.text())
def test_quoting_can_be_undone(text):
    """A quoted binary is told exactly: the escapes lead back to its bytes."""
    encoder = CompactEncoder("n", color=False, timestamps=False)
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
