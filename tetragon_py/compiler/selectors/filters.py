# SPDX-License-Identifier: Apache-2.0
"""All filters of a selector: its conditions, and where something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tetragon_py.compiler.selectors.arguments import FilterContext, argument_condition
from tetragon_py.compiler.selectors.conditions import Conditions
from tetragon_py.compiler.selectors.process import (
    binary_condition,
    capability_change_condition,
    capability_condition,
    namespace_change_condition,
    namespace_condition,
    parent_binary_condition,
    pid_condition,
    user_namespace_condition,
)
from tetragon_py.policy.check.positions import argument_positions, data_positions
from tetragon_py.policy.diagnostic import (
    Cause,
    Finding,
    Path,
    PolicyValueError,
    error,
    warning,
)
from tetragon_py.policy.model.operators import OPERATORS, Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tetragon_py.compiler.capture.arguments import Captured
    from tetragon_py.compiler.selectors.conditions import Condition
    from tetragon_py.policy.model.hooks import Hook
    from tetragon_py.policy.model.selectors import ArgFilter, Selector

__all__ = ["CapturedHook", "compile_filters"]

_Entry = TypeVar("_Entry")


class CapturedHook(NamedTuple):
    """A hook with what is captured for it, in the order of the policy.

    None stands for an argument that could not be compiled: it was told already.
    """

    hook: Hook
    args: tuple[Captured | None, ...] = ()
    data: tuple[Captured | None, ...] = ()
    returned: Captured | None = None


def compile_filters(
    selector: Selector,
    path: Path,
    captured: CapturedHook,
    context: FilterContext,
    found: list[Finding],
) -> Conditions:
    """Return the conditions of a selector; what is wrong is added to `found`."""
    compiler = _Compiler(path, captured, context, found)
    compiler.process(selector)
    compiler.arguments(selector)
    conditions = compiler.conditions
    if conditions.is_impossible:
        text = "never matches: its filters leave no number"
        found.append(warning(path, text))
    return conditions


class _Compiler:
    def __init__(
        self,
        path: Path,
        captured: CapturedHook,
        context: FilterContext,
        found: list[Finding],
    ) -> None:
        self.conditions = Conditions()
        self._path = path
        self._captured = captured
        self._context = context
        self._found = found

    def process(self, selector: Selector) -> None:
        self._all("matchPIDs", selector.match_pids, pid_condition)
        self._all("matchBinaries", selector.match_binaries, binary_condition)
        self._all(
            "matchParentBinaries",
            selector.match_parent_binaries,
            parent_binary_condition,
        )
        host = self._context.target.host_namespaces
        self._all(
            "matchNamespaces",
            selector.match_namespaces,
            lambda entry: namespace_condition(entry, host),
        )
        self._all(
            "matchNamespaceChanges",
            selector.match_namespace_changes,
            namespace_change_condition,
        )
        self._all(
            "matchCapabilities", selector.match_capabilities, capability_condition
        )
        self._all(
            "matchCapabilityChanges",
            selector.match_capability_changes,
            capability_change_condition,
        )
        for key, entries in (
            ("matchCapabilities", selector.match_capabilities),
            ("matchCapabilityChanges", selector.match_capability_changes),
        ):
            self._all(key, entries, lambda entry: user_namespace_condition(entry, host))
        if selector.match_workloads is not None:
            text = "workloads cannot be told apart in this release"
            place = (*self._path, "matchWorkloads")
            self._found.append(error(place, text, cause=Cause.RELEASE))

    def arguments(self, selector: Selector) -> None:
        hook, args, data, returned = self._captured
        for index, entry in enumerate(selector.match_args):
            place = (*self._path, "matchArgs", index)
            expression = entry.operator is Operator.CEL_EXPR
            positions = (0,) if expression else argument_positions(hook, entry)
            self._filter(place, entry, [args[p] for p in positions if p < len(args)])
        declared = getattr(hook, "data", ())
        for index, entry in enumerate(selector.match_data):
            place = (*self._path, "matchData", index)
            positions = data_positions(declared, entry)
            self._filter(place, entry, [data[p] for p in positions])
        for index, entry in enumerate(selector.match_return_args):
            place = (*self._path, "matchReturnArgs", index)
            self._filter(place, entry, [returned])

    def _all(
        self,
        key: str,
        entries: Iterable[_Entry],
        compile_one: Callable[[_Entry], Condition | None],
    ) -> None:
        for index, entry in enumerate(entries):
            try:
                condition = compile_one(entry)
                if condition is not None:
                    self.conditions.add(condition)
            except PolicyValueError as problem:
                place: Path = (*self._path, key, index)
                if problem.index is not None:
                    place = (*place, "values", problem.index)
                self._found.append(_error(place, problem))

    def _filter(
        self, path: Path, entry: ArgFilter, captured: Sequence[Captured | None]
    ) -> None:
        known = [argument for argument in captured if argument is not None]
        if len(known) < len(captured):
            return
        try:
            condition = argument_condition(
                entry.operator, entry.values, known, self._context
            )
        except PolicyValueError as problem:
            place = _place(path, entry, problem, known)
            self._found.append(_error(place, problem))
            return
        self.conditions.add(condition)


# Its hint is looked for at once: findings that are equal are told once.
def _error(path: Path, problem: PolicyValueError) -> Finding:
    return error(path, problem.message, problem.hint, problem.cause)


def _place(
    path: Path, entry: ArgFilter, problem: PolicyValueError, known: Sequence[Captured]
) -> Path:
    if problem.index is not None:
        return (*path, "values", problem.index)
    operator = entry.operator
    if operator is Operator.CEL_EXPR or operator not in OPERATORS[known[0].type.kind]:
        return (*path, "operator")
    return path
