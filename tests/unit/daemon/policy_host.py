# SPDX-License-Identifier: Apache-2.0
"""A policy set of the agent without a kernel: files, and what would be put in force."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import structlog.testing

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.policies import kprobe
from tetragon_py.daemon.policies import PolicySet
from tetragon_py.errors import PolicyError
from tetragon_py.events.hook import HookNames
from tetragon_py.libbpf.features import FEATURES, ProbeResult
from tetragon_py.settings import Settings

__all__ = ["KILL", "OPENAT", "Generations", "Host", "Target", "load"]

OPENAT = {"call": "sys_openat", "args": [{"index": 1, "type": "string"}]}

KILL = kprobe(
    [
        {
            "matchActions": [
                {"action": "Sigkill"},
                {"action": "Override", "argError": -1},
            ]
        },
        {"matchActions": [{"action": "Sigkill"}, {"action": "Post"}]},
    ]
)


class Target(FakeTarget):
    """The kernel of the compiler's tests; `unjudged` is what it cannot tell."""

    is_current = True

    def __init__(self, **unjudged):
        super().__init__()
        self.unjudged = unjudged


class Generations:
    """What the kernel would hold."""

    def __init__(self, error):
        self.closed = 0
        self.plans = []
        self.renamed = []
        self.generation = 0
        self.targets = []
        self.hits_each = 1
        self.enforced = set()
        self.error = error

    def see(self, target):
        self.targets.append(target)

    def apply(self, plan, renamed=()):
        self.renamed.append(renamed)
        if self.error:
            raise self.error
        self.plans.append(plan)
        added = tuple(hook.point for hook in plan.hooks)
        self.generation += 1
        return SimpleNamespace(added=added, removed=(), changed=(), seconds=0.0123)

    def matches(self):
        return set()

    def enforcing(self):
        return self.enforced

    def hits(self):
        return {hook.point: self.hits_each for hook in self.plans[-1].hooks}

    def close(self):
        self.closed += 1


class Host:
    """A policy set on a kernel of ours; `made` has each Generations."""

    def __init__(self, folder, missing=(), error=None):
        self.folder = folder
        self.missing = set(missing)
        self.error = error
        self.made = []

    def write(self, name, *specs, **metadata):
        documents = [
            json.dumps(
                {
                    "apiVersion": "cilium.io/v1alpha1",
                    "kind": "TracingPolicy",
                    "metadata": {"name": f"{name}-{number}" if number else name},
                    "spec": spec,
                },
                indent=1,
            )
            for number, spec in enumerate(specs)
        ]
        path = self.folder / f"{name}.yaml"
        path.write_text("\n---\n".join(documents))
        path.chmod(0o644)
        return path

    def probe(self, name):
        reason = "no PMU" if name in self.missing else ""
        return ProbeResult(name, FEATURES[name].title, "5.0", not reason, reason)

    def make(self, *_):
        self.made.append(Generations(self.error))
        return self.made[-1]

    def policies(self, *paths, **settings):
        settings.setdefault("tracing_policy_dir", self.folder)
        values = {"tracing_policy": tuple(paths), **settings}
        return self.of(Settings.model_validate(values))

    def of(self, settings):
        stubs: dict[str, Any] = {
            "sensor": SimpleNamespace(rings=()),
            "make_target": Target,
            "make_generations": self.make,
            "probe": self.probe,
        }
        return PolicySet(settings, names=HookNames(), **stubs)

    def refusal(self, *paths):
        with pytest.raises(PolicyError) as caught:
            self.policies(*paths, strict=True).load()
        assert caught.value.exit_status == 2
        return str(caught.value)


def load(policies):
    """Load; how many policies are in force, and what was logged."""
    with structlog.testing.capture_logs() as logs:
        count = policies.load().policies
    return count, logs
