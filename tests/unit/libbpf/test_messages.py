# SPDX-License-Identifier: Apache-2.0
"""libbpf's words reach the operator: as log lines, or in the exception."""

from __future__ import annotations

import errno

import pytest
import structlog.testing

from tetragon_py.errors import KernelError, VerifierError
from tetragon_py.libbpf import BpfObject, messages
from tetragon_py.libbpf.messages import flush_messages, load_error, take_messages

LOG = """\
libbpf: prog 'process_exec': BPF program load failed: Permission denied
libbpf: prog 'process_exec': -- BEGIN PROG LOAD LOG --
0: R1=ctx(off=0,imm=0) R10=fp0
; __u64 *args = (void *)ctx;
7: (79) r3 = *(u64 *)(r2 +8)
R2 invalid mem access 'scalar'
processed 8 insns (limit 1000000) max_states_per_insn 0
-- END PROG LOAD LOG --
libbpf: prog 'process_exec': failed to load: -13
"""


@pytest.fixture
def said(monkeypatch):
    """What libbpf would have said: a list of (level, text)."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(messages, "take_messages", lambda: found)
    return found


def test_verifier_error_has_program_and_log(said):
    """If the verifier spoke, the exception carries all of its log."""
    said += [("warning", LOG), ("warning", "libbpf: failed to load object 'process'")]
    error = load_error("load object process", errno.EACCES)

    assert isinstance(error, VerifierError)
    assert error.program == "process_exec"
    assert error.errno == errno.EACCES
    assert error.log.startswith("0: R1=ctx")
    assert error.log.endswith("max_states_per_insn 0\n")
    assert "R2 invalid mem access 'scalar'" in str(error)
    assert "BEGIN PROG LOAD LOG" not in str(error)


def test_last_verifier_log_counts(said):
    """When several programs were tried, the last one made the load fail."""
    said += [("warning", LOG), ("warning", LOG.replace("process_exec", "process_exit"))]
    error = load_error("load", errno.EACCES)

    assert isinstance(error, VerifierError)
    assert error.program == "process_exit"


def test_other_errors_have_libbpfs_last_warnings(said):
    """Without a verifier log, what libbpf warned of last is the detail."""
    said += [("warning", f"w{i}") for i in range(5)]
    said += [("info", "not this"), ("debug", "nor this")]
    error = load_error("load object x", errno.EINVAL)

    assert type(error) is KernelError
    assert str(error) == "load object x: Invalid argument (EINVAL): w2; w3; w4"


def test_error_without_words(said):
    """An errno alone is a sentence too."""
    assert str(load_error("load", errno.EPERM)) == (
        "load: Operation not permitted (EPERM)"
    )


def test_messages_are_logged_at_their_level(said):
    """What libbpf says goes to the agent's log."""
    said += [("warning", "a"), ("info", "b"), ("debug", "c")]
    with structlog.testing.capture_logs() as logs:
        flush_messages()

    assert [(entry["log_level"], entry["event"]) for entry in logs] == [
        *(("warning", "a"), ("info", "b"), ("debug", "c"))
    ]


def test_expected_messages_are_quiet(said):
    """A look-up that may fail does not alarm anybody."""
    said += [("warning", "failed to find valid kernel BTF")]
    with structlog.testing.capture_logs() as logs:
        flush_messages(quiet=True)

    assert [entry["log_level"] for entry in logs] == ["debug"]


def test_nothing_said_nothing_logged(said):
    """Silence stays silence."""
    with structlog.testing.capture_logs() as logs:
        flush_messages()

    assert logs == []


def test_true_messages():
    """libbpf's own complaint about a broken object is in the exception, once."""
    take_messages()
    with pytest.raises(KernelError, match=r"open object broken: .*libbpf: ") as raised:
        BpfObject(b"no ELF file", "broken")

    assert raised.value.errno
    assert take_messages() == []
