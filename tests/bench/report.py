# SPDX-License-Identifier: Apache-2.0
"""Measured values -> the table, the verdict and the JSON."""

from __future__ import annotations

import statistics
from typing import NamedTuple, TextIO

from tests.bench.limits import GROUPS, TETRAGON_MULTIPLE, Row, Values

__all__ = ["Line", "as_json", "evaluate", "print_table"]

_COLORS = {"PASS": "\x1b[32m", "FAIL": "\x1b[31m"}
_RESET = "\x1b[0m"
_divide = float.__truediv__
#: Row -> the two that it is made of, round by round.
_DERIVED = {
    "slow_down": ("workload_agent", "workload_none", float.__sub__),
    "floor_ratio": ("agent_record", "floor_record", _divide),
    "batch_ratio": ("agent_lines", "floor_lines", _divide),
    "multiple": ("agent_process", "workload_none", _divide),
    "flat_warm": ("warm_1000", "warm_1", _divide),
    "flat_cold": ("cold_1000", "cold_1", _divide),
    "flat_deep": ("deep_1000", "deep_1", _divide),
    "flat_posted": ("posted_1000", "posted_1", _divide),
    "flat_spared": ("spared_1000", "spared_1", _divide),
    "flat_signalled": ("signalled_1000", "signalled_1", _divide),
    "seek_syscall_ratio": ("seek_syscall_event", "seek_syscall_floor", _divide),
    "seek_syscall_batch": (
        "seek_syscall_agent_lines",
        "seek_syscall_floor_lines",
        _divide,
    ),
    "seek_tracepoint_ratio": (
        "seek_tracepoint_event",
        "seek_tracepoint_floor",
        _divide,
    ),
    "seek_tracepoint_batch": (
        "seek_tracepoint_agent_lines",
        "seek_tracepoint_floor_lines",
        _divide,
    ),
}
_TO_FLOOR = ("floor_ratio", "seek_syscall_ratio", "seek_tracepoint_ratio")


class Line(NamedTuple):
    """One row with its value: the median, the worst of exact rows, see also below."""

    row: Row
    value: float
    least: float
    most: float

    @property
    def mark(self) -> str:
        """PASS, FAIL, or nothing where there is no limit."""
        if self.row.limit is None:
            return ""
        if self.row.exact:
            return "PASS" if self.value == self.row.limit else "FAIL"
        return "PASS" if self.value <= self.row.limit else "FAIL"


def evaluate(values: Values) -> dict[str, list[Line]]:
    """Derive the ratios, and take the median of each row's values: by heading."""
    derived = {key: list(measured) for key, measured in values.items()}
    for key, (left, right, operation) in _DERIVED.items():
        if values.get(left) and values.get(right):
            derived[key] = [
                operation(float(a), float(b))
                for a, b in zip(values[left], values[right], strict=True)
            ]
    found = {
        heading: [
            _undisturbed(_line(row, derived[row.key]), values)
            for row in rows
            if derived.get(row.key)
        ]
        for heading, rows in GROUPS.items()
    }
    return {heading: lines for heading, lines in found.items() if lines}


def _undisturbed(line: Line, values: Values) -> Line:
    """A busy machine makes the floor dearer, which would flatter the agent.

    So its ratios are those of the least costs, whatever round they are from.
    """
    if line.row.key not in _TO_FLOOR:
        return line
    agent, floor, _ = _DERIVED[line.row.key]
    return line._replace(value=min(values[agent]) / min(values[floor]))


def _line(row: Row, measured: list[float]) -> Line:
    least, most = min(measured), max(measured)
    value = statistics.median(measured)
    if row.exact:
        value = max(measured, key=abs)
    return Line(row, value, least, most)


def print_table(groups: dict[str, list[Line]], out: TextIO, *, color: bool) -> None:
    """One line per row: value, spread, limit, goal, mark, where the limit is from."""
    print(f"{'':44}{'median':>9}  {'least..most':19}{'limit':>7}{'goal':>6}", file=out)
    for heading, lines in groups.items():
        print(heading, file=out)
        for line in lines:
            print(_text(line, color=color), file=out)
            if line.row.key == "multiple":
                low, high = TETRAGON_MULTIPLE
                print(f"{'  Tetragon, for comparison (x)':44}{low:>5}-{high}", file=out)


def _text(line: Line, *, color: bool) -> str:
    row = line.row
    spread = "" if line.least == line.most else f"{_n(line.least)}..{_n(line.most)}"
    limit = "" if row.limit is None else _n(row.limit)
    goal = "" if row.goal is None else _n(row.goal)
    mark = line.mark
    if mark and color:
        mark = f"{_COLORS[mark]}{mark}{_RESET}"
    label = f"  {row.label} ({row.unit})" if row.unit else f"  {row.label}"
    text = f"{label:44}{_n(line.value):>9}  {spread:19}{limit:>7}{goal:>6}  {mark}"
    return f"{text}  {row.source}".rstrip()


def as_json(groups: dict[str, list[Line]]) -> dict[str, object]:
    """The same for programs: one object per row."""
    return {
        line.row.key: {
            "group": heading,
            "value": line.value,
            "least": line.least,
            "most": line.most,
            "unit": line.row.unit,
            "limit": line.row.limit,
            "goal": line.row.goal,
            "source": line.row.source,
            "verdict": line.mark,
        }
        for heading, lines in groups.items()
        for line in lines
    }


def _n(value: float) -> str:
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
