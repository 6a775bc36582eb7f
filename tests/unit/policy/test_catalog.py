# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.catalog, and of the policies in the library."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tetragon_py.policy.catalog import (
    LIBRARY,
    TACTICS,
    Effect,
    load_library,
    set_mode,
)
from tetragon_py.policy.documents import load_text
from tetragon_py.policy.model.actions import ENFORCING, ActionKind
from tetragon_py.policy.model.options import PolicyMode
from tetragon_py.policy.source import load_policies

FILES = sorted(LIBRARY.glob("*.yaml"))
POLICIES = load_library()
#: Hooks that Linux 5.10 has not, and since when.
YOUNGER = {
    "inode_init_security_anon": "6.1",
    "userns_create": "6.1",
    "inode_setxattr": "6.1",  # another parameter was put before its dentry
}

every = pytest.mark.parametrize("name", POLICIES)


def parsed(name):
    [loaded] = load_policies([LIBRARY / f"{name}.yaml"]).policies
    return loaded.policy


def hooks(name):
    return [hook for _, _, hook in parsed(name).hooks()]


# ---- the policies ----


def test_the_library_is_large():
    """Every file is a policy, called as it is; nothing is said about any."""
    assert len(POLICIES) >= 30
    assert [path.stem for path in FILES] == list(POLICIES)
    assert load_policies(FILES).diagnostics == ()


@every
def test_one_sentence_describes_it(name):
    """The description fits on a line, begins large and ends with a full stop."""
    text = POLICIES[name].description

    assert re.fullmatch(r"[A-Z/].{20,110}\.", text)
    assert "\n" not in text


@every
def test_attack(name):
    """Each hook has a message and the tags; the ids have ATT&CK's form."""
    policy = POLICIES[name]

    assert policy.tactics
    assert policy.techniques
    assert set(policy.tactics) <= set(TACTICS)
    for technique in policy.techniques:
        assert re.fullmatch(r"T1\d{3}(\.\d{3})?", technique)
    for hook in hooks(name):
        assert hook.message
        assert set(hook.tags) == {
            f"mitre.{tag}" for tag in (*policy.tactics, *policy.techniques)
        }


@every
def test_arguments_are_labelled(name):
    """Who reads an event sees what each value is."""
    for hook in hooks(name):
        found = (*hook.args, *getattr(hook, "data", ()))

        assert all(argument.label for argument in found)


@every
def test_what_it_does(name):
    """It denies with EPERM or EACCES, always; or it never does anything."""
    actions = [
        action
        for hook in hooks(name)
        for selector in hook.selectors
        for action in selector.match_actions
        if action.action is not ActionKind.NO_POST
    ]
    denials = [action for action in actions if action.action in ENFORCING]

    assert all(action.action is ActionKind.OVERRIDE for action in denials)
    assert all(action.errno in {-1, -13} for action in denials)
    assert not denials or len(denials) == len(actions)
    assert POLICIES[name].effect == ("blocks" if denials else "detects")


@every
def test_kernel(name):
    """A hook that Linux 5.10 has not is told."""
    places = {getattr(hook, "hook", getattr(hook, "call", "")) for hook in hooks(name)}
    needed = {YOUNGER[place] for place in places if place in YOUNGER}

    assert {POLICIES[name].kernel} - {""} == needed


@every
def test_known_programs_are_paths_without_links(name):
    """The kernel compares resolved paths: /bin and /sbin are links on Debian."""
    for hook in hooks(name):
        for selector in hook.selectors:
            for entry in selector.match_binaries:
                if entry.operator in {"In", "NotIn", "Prefix", "NotPrefix"}:
                    assert all(value.startswith("/usr/") for value in entry.values)
                    assert list(entry.values) == list(dict.fromkeys(entry.values))


def test_packages_have_them():
    """A wheel brings the files along."""
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    data = tomllib.loads(text)["tool"]["setuptools"]["package-data"]

    assert data["tetragon_py.policy"] == [f"{LIBRARY.name}/*.yaml"]


# ---- the module ----


def test_what_is_known_of_a_policy():
    """Name, description, tactics, techniques, effect, kernel and text."""
    policy = POLICIES["io-uring"]

    assert policy.tactics == ("defense-evasion",)
    assert policy.techniques == ("T1562",)
    assert (policy.effect, policy.kernel) == (Effect.BLOCKS, "6.1")
    assert policy.text == (LIBRARY / "io-uring.yaml").read_text()
    assert POLICIES["egress"].effect is Effect.DETECTS


def test_a_mistake_in_the_library(tmp_path):
    """A file that is no policy is named."""
    (tmp_path / "bad.yaml").write_text("kind: Nothing\n")

    with pytest.raises(ValueError, match=r"bad\.yaml"):
        load_library(tmp_path)


@every
def test_mode(name):
    """The text with a mode is the same policy in that mode."""
    policy = POLICIES[name]
    for mode in (PolicyMode.MONITOR, PolicyMode.ENFORCE):
        [loaded] = load_text(set_mode(policy, mode).encode(), "x").policies

        if policy.effect is Effect.BLOCKS:
            assert loaded.policy.options.policy_mode is mode
            assert loaded.policy.spec.lsmhooks == parsed(name).spec.lsmhooks
        else:
            assert set_mode(policy, mode) == policy.text
