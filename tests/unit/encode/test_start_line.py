# SPDX-License-Identifier: Apache-2.0
"""Start records, and the name of the numbering in lines: both say whose a line is."""

from __future__ import annotations

import json

import pytest

from tests.unit.encode.test_jsonl import encoder, family
from tests.unit.records import exit_event
from tetragon_py.encode.jsonl import JsonOptions
from tetragon_py.events.agent import StartEvent


def test_start_line():
    """Whose file it is; a stream has no number."""
    event = StartEvent("97161efa-3ffe", "4659f7f904dc", "0.1.0", 17, 2_000)
    line = encoder().start_line(event)
    event.file = 0

    assert line == (
        b'{"start":{"boot_id":"97161efa-3ffe","run":"4659f7f904dc","version":"0.1.0",'
        b'"file":17},"node_name":"vm","time":"1970-01-01T00:00:00.000002000Z"}\n'
    )
    assert line.replace(b',"file":17', b"") == encoder().start_line(event)


@pytest.mark.parametrize("extended", [True, False])
def test_run_follows_the_sequence_number(extended):
    """Whose numbering it is: extended lines say it."""
    writer = encoder(JsonOptions(extended=extended, run="4659f7f904dc"))
    end = b',"sequence":"%d","run":"4659f7f904dc"}\n'
    exec_line, exit_line = (
        writer.exec_line(family()),
        writer.exit_line(family(), exit_event(status=0)),
    )

    for line in (exec_line, exit_line):
        sequence = int(json.loads(line).get("sequence", 0))
        assert line.endswith(end % sequence) == extended
        assert (b'"run"' in line) == extended
