# SPDX-License-Identifier: Apache-2.0
"""Policies for the compiler's tests, written as data; JSON is YAML."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.compiler.fake_target import FakeTarget
from tetragon_py.compiler.compilation import compile_policies
from tetragon_py.policy.documents import load_text

DATA = Path(__file__).parent / "data"


def load(spec, name="one"):
    """One policy that the policy package accepts."""
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
    result = load_text(json.dumps(document, indent=1).encode(), f"{name}.yaml")
    assert result.policies, [str(each) for each in result.diagnostics]
    return result.policies[0]


def load_yaml(text, file="one.yaml"):
    """Policies of a text, with the places of their lines."""
    result = load_text(text.encode(), file)
    assert result.policies, [str(each) for each in result.diagnostics]
    return result.policies


def kprobe(selectors=(), call="security_file_permission", **fields):
    """A hook on a function; arguments 0 and 1 are a file and a number."""
    arguments = [{"index": 0, "type": "file"}, {"index": 1, "type": "int"}]
    hook = {"call": call, "syscall": False, "args": arguments}
    return hook | {"selectors": list(selectors)} | fields


def compiled(*specs, target=None):
    """The plan of policies p0, p1, ...; nothing is refused."""
    policies = [load(spec, f"p{number}") for number, spec in enumerate(specs)]
    result = compile_policies(policies, target or FakeTarget())
    assert not result.refused, [str(each) for each in result.diagnostics]
    return result.plan


def one_hook(*selectors, target=None, **fields):
    """The hook of one policy with one kprobe."""
    plan = compiled({"kprobes": [kprobe(selectors, **fields)]}, target=target)
    [hook] = plan.hooks
    return hook, plan.classes


def findings(spec, target=None):
    """What the compiler says about one policy: path and message."""
    result = compile_policies([load(spec)], target or FakeTarget())
    return [(d.path, d.message) for d in result.diagnostics]


def problem(spec, target=None):
    """The only error of a policy: path, message and hint."""
    result = compile_policies([load(spec)], target or FakeTarget())
    [errors] = result.refused.values()
    [found] = errors
    assert not result.plan.hooks
    return found.path, found.message, found.hint or ""
