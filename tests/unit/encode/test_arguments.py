# SPDX-License-Identifier: Apache-2.0
"""Command lines and program names as texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import image_of, image_record
from tetragon_py.decode.process import decode_images
from tetragon_py.encode.arguments import (
    absolute_path,
    binary_of,
    join_arguments,
    split_arguments,
)
from tetragon_py.enrich.process_cache import ProcessCache


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (b"", ""),
        (b"ls\0", ""),
        (b"ls", ""),
        (b"\0", ""),
        (b"ls\0-l\0", "-l"),
        (b"ls\0-l\0/tmp\0", "-l /tmp"),
        (b"ls\0-l\0/tm", "-l /tm"),
        (b"a b\0c\0", "c"),
        (b"sh\0-c\0echo hi\0x\0", '-c "echo hi" x'),
        (b"sh\0echo hi\0", '"echo hi"'),
        (b"x\0\0", '""'),
        (b"x\0\0\0", '"" ""'),
        (b"x\0\0a\0", '"" a'),
        (b"x\0a\0\0", 'a ""'),
        (b"x\0a\0\0b\0", 'a "" b'),
        (b'x\0say "a b"\0"\0', '"say "a b"" "'),
        (b"x\0a\nb\t\0", "a\nb\t"),
        (b"x\0\xff\0\xc3\0\xc3\xa4\0", "� � ä"),
    ],
)
def test_arguments_are_joined_as_tetragon_does(argv, text):
    """argv[1:] is joined by spaces, and what would not be seen is quoted."""
    assert text == join_arguments(argv)


def test_joining_can_keep_the_bytes():
    """With another error handler no byte is lost."""
    assert join_arguments(b"x\0\xff\0", "surrogateescape") == "\udcff"


@pytest.mark.parametrize(
    ("argv", "texts"),
    [
        (b"", []),
        (b"\0", [""]),
        (b"ls\0", ["ls"]),
        (b"ls\0\0", ["ls", ""]),
        (b"ls\0a b\0\xff", ["ls", "a b", "�"]),
    ],
)
def test_arguments_are_split_without_loss(argv, texts):
    """The list has each argument, argv[0] and empty ones too."""
    assert texts == split_arguments(argv)


@given(st.lists(st.text(st.characters(exclude_characters="\0"))))
def test_split_is_the_inverse_of_the_kernels_form(texts):
    """Any list of arguments comes back from its block."""
    argv = b"".join(text.encode("utf-8", "replace") + b"\0" for text in texts)

    assert [text.encode("utf-8", "replace").decode() for text in texts] == (
        split_arguments(argv)
    )


@given(st.lists(st.binary().filter(lambda value: b"\0" not in value), min_size=1))
def test_join_agrees_with_its_definition(arguments):
    """The quick way gives what joining one by one gives."""
    argv = b"".join(argument + b"\0" for argument in arguments)
    expected = " ".join(
        f'"{text}"' if " " in text or not text else text
        for text in (argument.decode("utf-8", "replace") for argument in arguments[1:])
    )

    assert expected == join_arguments(argv)


@pytest.mark.parametrize(
    ("filename", "cwd", "path"),
    [
        (b"/bin/ls", b"/tmp", b"/bin/ls"),
        (b"/bin/../x", b"/tmp", b"/bin/../x"),
        (b"x", b"/tmp", b"/tmp/x"),
        (b"./x", b"/tmp", b"/tmp/x"),
        (b".//./x", b"/", b"/x"),
        (b"../x", b"/tmp", b"/tmp/../x"),
        (b"a/./x", b"/tmp", b"/tmp/a/./x"),
        (b"[kthreadd]", b"/tmp", b"/tmp/[kthreadd]"),
        (b"[kthreadd]", b"", b"./[kthreadd]"),
        (b"./x", b"", b"./x"),
        (b"\xff", b"/\xfe", b"/\xfe/\xff"),
        (b"", b"/tmp", b""),
    ],
)
def test_path_is_made_absolute(filename, cwd, path):
    """A relative name gets the working directory, and nothing is resolved."""
    assert path == absolute_path(filename, cwd)


def test_kernel_threads_are_shown_by_name():
    """Only what the kernel calls one of its threads is shown as one."""
    thread = image_of(filename=b"[kthreadd]", is_kernel=True)

    assert binary_of(thread) == b"[kthreadd]"


def test_process_zero_is_the_kernel():
    """Process 0 has the kernel's name."""
    (kernel,) = ProcessCache("node").seed([])

    assert binary_of(kernel.exec.image) == b"<kernel>"


@pytest.mark.parametrize("executable", [b"", b"/[kthreadd]"])
@pytest.mark.parametrize("filename", [b"[kthreadd]", b"./[kthreadd]"])
def test_programs_cannot_pose_as_kernel_threads(filename, executable):
    """A file with the name of a kernel thread is shown with its directory."""
    image = image_of(filename=filename, executable=executable, cwd=b"/")

    assert binary_of(image) == b"/[kthreadd]"


def test_programs_cannot_pose_by_what_they_call_themselves():
    """Before /proc is read nothing but the kernel's word makes a kernel thread."""
    data = image_record(comm=b"[kthreadd]") + image_record(comm=b"<kernel>")

    assert [binary_of(event.image) for event in decode_images(data)] == [b""] * 2
