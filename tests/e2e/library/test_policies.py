# SPDX-License-Identifier: Apache-2.0
"""Every policy of the library fires when it should, and only then."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.library.conftest import POLICIES
from tests.e2e.library.passing import state
from tests.e2e.library.table import CASES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.library.conftest import Library
    from tests.e2e.library.table import Case

pytestmark = pytest.mark.kernel(feature="lsm", since="5.7")
_DENIED = {errno.EPERM, errno.EACCES}
_ERROR = re.compile(r"argError: (-\d+)")
#: What is harmless to one policy may be what another one denies.
_TRIGGERS = {trigger for case in CASES for trigger in case.triggers}


@pytest.mark.parametrize("case", CASES, ids=[case.policy for case in CASES])
def test_policy(library: Library, case: Case) -> None:
    """Each trigger is told, and denied where it has to be; the benign action is not."""
    library.require(case.policy)
    policy = POLICIES[case.policy]
    quiet = library.do(case.benign)
    before = _state(library.place)
    for trigger in case.triggers:
        deed = library.do(trigger)
        body = library.wait_for(case.policy, deed.pid)

        assert body["message"]
        assert body["tags"] == [
            f"mitre.{tag}" for tag in (*policy.tactics, *policy.techniques)
        ]
        if policy.effect == "blocks":
            assert body["action"].endswith("_OVERRIDE")
            assert str(-deed.errno) in _ERROR.findall(policy.text)
            assert _state(library.place) == before
    library.agent.settle()

    assert library.hits(case.policy, quiet.pid) == []
    assert quiet.errno not in _DENIED or case.benign in _TRIGGERS


def _state(place: Path) -> dict[Path, tuple[int, ...]]:
    """What is in a file system, as far as it can be seen without opening it."""
    return {path: state(path) for path in place.rglob("*")}
