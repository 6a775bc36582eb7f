# SPDX-License-Identifier: Apache-2.0
"""An agent with a directory of policies that change while it runs."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

from tests.e2e.agent import Agent
from tests.e2e.enforcement import write_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.events import Event

__all__ = ["Reloading", "policy", "seek"]


def policy(
    folder: Path, name: str, hook: dict[str, Any], section: str = "kprobes"
) -> None:
    """Put a policy of one hook in place as a whole, as `policy library enable` does."""
    fresh = folder.parent / "fresh"
    fresh.mkdir(exist_ok=True)
    write_policy(fresh, name, {section: [hook]}).rename(folder / f"{name}.yaml")


def seek(number: int, message: str = "", binary: Path | None = None) -> dict[str, Any]:
    """A hook of lseek() with that first argument, which kills if it is that binary."""
    selector: dict[str, Any] = {
        "matchArgs": [{"index": 0, "operator": "Equal", "values": [str(number)]}]
    }
    if binary:
        selector["matchBinaries"] = [{"operator": "In", "values": [str(binary)]}]
        selector["matchActions"] = [{"action": "Sigkill"}]
    hook: dict[str, Any] = {
        "call": "sys_lseek",
        "args": [{"index": 0, "type": "int"}],
        "selectors": [selector],
    }
    return hook | ({"message": message} if message else {})


class Reloading(Agent):
    """An agent with a directory of policies, which can be reloaded."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.policies = folder / "policies"
        self.policies.mkdir(mode=0o755, exist_ok=True)
        options = ("--tracing-policy-dir", str(self.policies), *options)
        super().__init__(folder, "--fields=extended", *options)

    def status(self) -> Any:
        """What the status file says."""
        return json.loads((self.runtime / "status.json").read_bytes())

    def done(self) -> int:
        """Reloads that have come to an end."""
        reloads = self.status()["reloads"]
        return int(reloads["good"] + reloads["bad"])

    def reload(self, ask: Callable[[], object] | None = None) -> dict[str, Any]:
        """Ask for a reload, and wait for it; what came of it."""
        before = self.done()
        (ask or self.hang_up)()
        self.until(lambda: self.done() > before, 20, "end of a reload")
        last: dict[str, Any] = self.status()["reloads"]["last"]
        return last

    def hang_up(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    def changes(self) -> list[Event]:
        """The events of what became of the policy set, with their times."""
        return [
            event["policy_change"] | {"time": event["time"]}
            for event in self.events()
            if "policy_change" in event
        ]
