# SPDX-License-Identifier: Apache-2.0
"""The text of one file in, its policies and diagnostics out. Nothing raises.

A document with errors gives no policy; the others of the same file do.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tetragon_py.policy.check.macros import check_macro, expand
from tetragon_py.policy.check.policy import (
    Surroundings,
    check_hook,
    check_list,
    check_policy,
)
from tetragon_py.policy.diagnostic import (
    Finding,
    Path,
    Severity,
    error,
    quote,
    warning,
)
from tetragon_py.policy.explain import explain
from tetragon_py.policy.loaded import NO_LINES, LoadedPolicy, LoadResult, locate
from tetragon_py.policy.model.hooks import MESSAGE_MAX, SECTIONS, TAG_MAX, HookSection
from tetragon_py.policy.model.policy import API_VERSION, NameList, Policy, PolicyKind
from tetragon_py.policy.model.selectors import Selector
from tetragon_py.policy.schema import Findings, read
from tetragon_py.policy.yaml_nodes import Mapping, Node, Scalar, find_node
from tetragon_py.policy.yaml_reader import read_documents

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load_text"]

#: Of one file; then it was not meant for us.
_DIAGNOSTICS_MAX = 1000
_BOM = b"\xef\xbb\xbf"
# What YAML does not allow as it is; text in double quotes may escape it.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_KINDS = frozenset(kind.value.casefold() for kind in PolicyKind)


def load_text(data: bytes, file: str) -> LoadResult:
    """Read all policies of a file's text; `file` is its name in diagnostics."""
    digest = hashlib.sha256(data).hexdigest()
    data = data.removeprefix(_BOM)
    if problem := _text_problem(data):
        return LoadResult(diagnostics=(locate(file, NO_LINES, problem),))
    policies = []
    diagnostics = []
    index = -1
    for index, root in enumerate(read_documents(data)):
        found = Findings()
        if isinstance(root, Finding):
            found.add(root)
            root = NO_LINES  # noqa: PLW2901 - there is none
        elif loaded := _load(root, found):
            policy, said = loaded
            policies.append(LoadedPolicy(policy, file, index, said, digest, text=data))
        placed = [locate(file, root, finding) for finding in found]
        diagnostics += sorted(placed, key=lambda d: (d.line, d.column))
        if found.total > len(found):
            more = error((), f"and {found.total - len(found)} more in this document")
            diagnostics.append(locate(file, NO_LINES, more))
        if len(diagnostics) > _DIAGNOSTICS_MAX:
            stop = error((), "the rest of the file is not read", "there is too much")
            diagnostics.append(locate(file, NO_LINES, stop))
            break
    if index < 0:
        empty = error((), "holds no policy", "it has no YAML document")
        diagnostics.append(locate(file, NO_LINES, empty))
    return LoadResult(tuple(policies), tuple(diagnostics))


def _text_problem(data: bytes) -> Finding | None:
    try:
        text = data.decode()
    except UnicodeDecodeError as problem:
        before, what = data[: problem.start], "is not UTF-8 text"
    else:
        match = _CONTROL.search(text)
        if not match:
            return None
        before = text[: match.start()].encode()
        what = f"has the control character {match[0]!a}"
    line = before.count(b"\n") + 1
    last = before.rpartition(b"\n")[2].decode(errors="replace")
    return Finding(Severity.ERROR, (), what, "", line, len(last) + 1)


# ---- one document ----


def _load(root: Node, found: Findings) -> tuple[Policy, str] | None:
    if not isinstance(root, Mapping):
        text = "a document must be a mapping with apiVersion, kind, metadata and spec"
        found.add(error((), text))
        return None
    if other := _other_kind(root):
        found.add(other)
        return None
    data = read(root, Policy, found)
    for finding in _cuts(data):
        found.add(finding)
    try:
        policy = Policy.model_validate(data)
    except ValidationError as problem:
        for finding in explain(problem):
            found.add(finding)
        for finding in _check_parts(data):
            found.add(finding)
        return None
    policy, problems = _expand(policy)
    for finding in (*problems, *check_policy(policy)):
        found.add(finding)
    if any(finding.severity is Severity.ERROR for finding in found):
        return None
    said = json.dumps(data, sort_keys=True, default=str).encode()
    return policy, hashlib.sha256(said).hexdigest()


# A file may hold other objects of a cluster beside the policy.
def _other_kind(root: Mapping) -> Finding | None:
    version, has_version = find_node(root, ("apiVersion",))
    kind, has_kind = find_node(root, ("kind",))
    if not has_version or not has_kind:
        return None
    if not isinstance(version, Scalar) or not isinstance(kind, Scalar):
        return None
    group = API_VERSION.partition("/")[0]
    if version.text.partition("/")[0] == group or kind.text.casefold() in _KINDS:
        return None
    return warning(("kind",), f"{quote(kind.text)} is no policy: it is not read")


# What the models cut is not to be seen in them any more.
def _cuts(data: dict[str, Any]) -> Iterator[Finding]:
    for section, index, hook in _raw_hooks(data):
        path: Path = ("spec", section.value, index)
        message, tags = hook.get("message"), hook.get("tags")
        if isinstance(message, str) and len(message) > MESSAGE_MAX:
            text = f"is longer than {MESSAGE_MAX} characters: the rest is cut off"
            yield warning((*path, "message"), text)
        for position, tag in enumerate(tags if isinstance(tags, list) else ()):
            if isinstance(tag, str) and len(tag) > TAG_MAX:
                text = f"is longer than {TAG_MAX} characters: the rest is cut off"
                yield warning((*path, "tags", position), text)


def _raw_hooks(
    data: dict[str, Any],
) -> Iterator[tuple[HookSection, int, dict[str, Any]]]:
    spec = data.get("spec")
    for section in HookSection:
        entries = spec.get(section.value) if isinstance(spec, dict) else None
        for index, hook in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(hook, dict):
                yield section, index, hook


def _expand(policy: Policy) -> tuple[Policy, list[Finding]]:
    macros = policy.spec.selectors_macros
    if not macros and not any(
        s.macros for _, _, h in policy.hooks() for s in h.selectors
    ):
        return policy, []
    found: list[Finding] = []
    for name, macro in macros.items():
        found += check_macro(macro, ("spec", "selectorsMacros", name))
    update = {}
    for section in HookSection:
        hooks = []
        for index, hook in enumerate(getattr(policy.spec, section.value)):
            path = ("spec", section.value, index)
            expanded, problems = expand(hook, path, macros)
            hooks.append(expanded)
            found += problems
        update[section.value] = tuple(hooks)
    spec = policy.spec.model_copy(update=update)
    return policy.model_copy(update={"spec": spec}), found


# Some part of the document is not what the schema wants. The hooks that are get their
# other rules checked, so that one run shows all mistakes.
def _check_parts(data: dict[str, Any]) -> Iterator[Finding]:
    spec = data.get("spec")
    if not isinstance(spec, dict):
        return
    lists = list(_valid(NameList, spec.get("lists")))
    raw_macros = spec.get("selectorsMacros")
    macros = {
        name: macro
        for name, raw in (raw_macros if isinstance(raw_macros, dict) else {}).items()
        for _, macro in _valid(Selector, [raw])
    }
    around = Surroundings.of(
        (entry for _, entry in lists), has_enforcers="enforcers" in spec
    )
    for section, index, raw in _raw_hooks(data):
        path = ("spec", section.value, index)
        for _, hook in _valid(SECTIONS[section], [raw]):
            expanded, problems = expand(hook, path, macros)
            yield from problems
            yield from check_hook(section, path, expanded, around)
    for index, entry in lists:
        yield from check_list(("spec", "lists", index), entry)


def _valid(model: Any, entries: object) -> Iterator[tuple[int, Any]]:  # noqa: ANN401 - any of our models
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        try:
            yield index, model.model_validate(entry)
        except ValidationError:
            continue
