# SPDX-License-Identifier: Apache-2.0
"""What the agent costs, in ratios: `make bench`.

The same exec storm, and the same storm of hits that a policy wants, with no agent, with
a C floor that drains the same rings, and with the agent; what a hit costs by the number
of policies; what a change of the policies costs. Prints a table and says which limits
hold.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from tests.bench.limits import Values
    from tests.bench.programs import Programs

_EXAMPLES = """\
examples:
  make bench                                     all rounds, less than three minutes
  .venv/bin/python -m tests.bench --quick        one round, fewer processes and calls
  .venv/bin/python -m tests.bench --policies     only what policies cost
  .venv/bin/python -m tests.bench --memory       also 200,000 processes, for the RSS
  .venv/bin/python -m tests.bench --soak         2,000,000 events into rotated files
  .venv/bin/python -m tests.bench --json out.json --rounds 9

Exit status: 0 if all limits hold, 1 if not, or if it could not be measured. Values are
medians over the rounds; a ratio to the floor is that of the least costs. The machine
should have nothing else to do.
"""
#: Of all events in the agent's runs: more of others, and figures say less.
_FOREIGN_SHARE = 0.05


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure the agent against a C floor and against no agent.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round, fewer processes and calls"
    )
    half = parser.add_mutually_exclusive_group()
    half.add_argument(
        "--processes", action="store_true", help="only what process events cost"
    )
    half.add_argument("--policies", action="store_true", help="only what policies cost")
    parser.add_argument(
        "--memory",
        action="store_true",
        help="also look at the RSS over 200,000 processes",
    )
    parser.add_argument(
        "--soak",
        nargs="?",
        type=_positive,
        const=2_000_000,
        metavar="N",
        help="only this: N events (2000000) through an agent that rotates its file",
    )
    parser.add_argument(
        "--count", type=_positive, metavar="N", help="processes per storm (20000)"
    )
    parser.add_argument(
        "--calls", type=_positive, metavar="N", help="system calls per run (200000)"
    )
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="rounds (5; of policies 3)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the results there too"
    )
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour of the marks; auto: on a terminal",
    )
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print, judge."""
    options = _parse()
    if os.geteuid() != 0:
        print("bench: needs root: start it with sudo", file=sys.stderr)
        return 1
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    try:
        return _soak(options.soak) if options.soak else _measure(options)
    except subprocess.CalledProcessError as error:
        print(f"bench: {error}\n{error.stderr}", file=sys.stderr)
    except (OSError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
    return 1


def _soak(count: int) -> int:
    from tests.bench.programs import build_programs  # noqa: PLC0415 - see below
    from tests.bench.soak import soak  # noqa: PLC0415 - see below

    result = soak(build_programs(), count, _tell)
    print(result)
    return 0 if result.is_right else 1


def _measure(options: argparse.Namespace) -> int:
    # After the check for root: these load the product's extension.
    from tests.bench.agent import RING_BYTES  # noqa: PLC0415 - see above
    from tests.bench.programs import build_programs  # noqa: PLC0415 - see above
    from tests.bench.report import (  # noqa: PLC0415 - see above
        as_json,
        evaluate,
        print_table,
    )
    from tests.bench.run_time import count_programs_named  # noqa: PLC0415 - see above

    started = time.monotonic()
    others = count_programs_named("process_exec")
    programs = build_programs()
    values: Values = defaultdict(list)
    values["rings_mib"].append(sum(RING_BYTES) / (1 << 20))
    foreign = 0
    if not options.policies:
        foreign = _measure_processes(options, programs, values)
    if not options.processes:
        _measure_policies(options, programs, values)
    others = max(others, count_programs_named("process_exec"))
    groups = evaluate(values)
    color = options.color == "always" or (
        options.color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    )
    print_table(groups, sys.stdout, color=color)
    if options.json:
        options.json.write_text(json.dumps(as_json(groups), indent=2) + "\n")
    if others or foreign:
        print(
            f"bench: the machine was busy ({others} other agents, {foreign} events of "
            "other processes): measure again",
            file=sys.stderr,
        )
    failed = [
        f"{heading}: {line.row.label.strip()}"
        for heading, lines in groups.items()
        for line in lines
        if line.mark == "FAIL"
    ]
    _tell(f"took {time.monotonic() - started:.0f} s")
    for label in failed:
        print(f"bench: limit broken: {label}", file=sys.stderr)
    return 1 if failed else 0


def _measure_processes(
    options: argparse.Namespace, programs: Programs, values: Values
) -> int:
    """The exec storms; how many events of others disturbed them, if that matters."""
    from tests.bench.rounds import Rounds  # noqa: PLC0415 - as in _measure

    count = options.count or (5_000 if options.quick else 20_000)
    turns = options.rounds or (1 if options.quick else 5)
    _tell(f"{count} processes per storm, rounds: {turns}, {os.uname().release}")
    rounds = Rounds(programs, values, count, _tell)
    rounds.calibrate()
    rounds.alternate(turns)
    rounds.bpf()
    rounds.starts()
    if options.memory:
        rounds.memory()
    return rounds.foreign if rounds.foreign > _FOREIGN_SHARE * 2 * count * turns else 0


def _measure_policies(
    options: argparse.Namespace, programs: Programs, values: Values
) -> None:
    """Hits and changes; what is quick is repeated more often."""
    from tests.bench.changes import measure_changes  # noqa: PLC0415 - as in _measure
    from tests.bench.hits import measure_hits  # noqa: PLC0415 - as in _measure
    from tests.bench.reloads import measure_reloads  # noqa: PLC0415 - as in _measure
    from tests.bench.seeks import Seeks  # noqa: PLC0415 - as in _measure

    calls = options.calls or (50_000 if options.quick else 200_000)
    turns = options.rounds or (1 if options.quick else 3)
    _tell(f"{calls} system calls per run, rounds: {turns}, {os.uname().release}")
    measure_hits(
        programs, values, calls // 2, turns if options.quick else turns + 2, _tell
    )
    seeks = Seeks(programs, values, calls, _tell)
    seeks.alternate(turns)
    seeks.sustain(50_000, 2 if options.quick else 10)
    seeks.bpf(turns, statistics.median(values["unhooked"]))
    measure_reloads(programs, values, turns, _tell)
    if options.quick:
        measure_changes(programs, values, 1_000, 20, turns, _tell)
    else:
        measure_changes(programs, values, 5_000, 300, turns, _tell)


if __name__ == "__main__":
    sys.exit(main())
