# SPDX-License-Identifier: Apache-2.0
"""What NotifyEnforcer leaves for a thread ends with the system call."""

from __future__ import annotations

import os
import threading

from tetragon_py.abi import _generated as c
from tetragon_py.loader.notes import VerdictNotes
from tetragon_py.loader.shared import SensorLimits, SharedMaps

LIMITS = SensorLimits((4096, 4096, 4096), 1024, c.ARGUMENTS_MAX_BYTES, 0)


def test_notes_end_with_the_call():
    """The call that writes the note is one: at its end it is gone; others' stay."""
    own = threading.get_native_id().to_bytes(4, "little")
    others = os.getppid().to_bytes(4, "little")
    with SharedMaps(LIMITS) as shared:
        found = shared.maps["verdict_notes"]
        note = bytes(found.value_size)
        found.update(own, note)
        assert found.lookup(own) == note
        notes = VerdictNotes(shared)
        notes.begin()
        found.update(others, note)
        found.update(own, note)
        assert found.lookup(own) is None
        assert found.lookup(others) == note
        notes.end()
        found.update(own, note)
        assert found.lookup(own) == note
