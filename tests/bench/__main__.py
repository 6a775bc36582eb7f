# SPDX-License-Identifier: Apache-2.0
"""What the agent costs, in ratios: `make bench`.

The same exec storm with no agent, with a C floor that drains the same rings, and with
the agent. Prints a table and says which limits hold.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

_EXAMPLES = """\
examples:
  make bench                                     all rounds, less than a minute
  .venv/bin/python -m tests.bench --quick        one round of 5,000 processes
  .venv/bin/python -m tests.bench --memory       also 200,000 processes, for the RSS
  .venv/bin/python -m tests.bench --json out.json --rounds 9

Exit status: 0 if all limits hold, 1 if not, or if it could not be measured. Values are
medians over the rounds; the ratio to the floor is that of the least costs. The machine
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
        "--quick", action="store_true", help="one round of 5,000 processes"
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="also look at the RSS over 200,000 processes",
    )
    parser.add_argument(
        "--count", type=_positive, metavar="N", help="processes per storm (20000)"
    )
    parser.add_argument("--rounds", type=_positive, metavar="N", help="rounds (5)")
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
    try:
        return _measure(options)
    except subprocess.CalledProcessError as error:
        print(f"bench: {error}\n{error.stderr}", file=sys.stderr)
    except (OSError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
    return 1


def _measure(options: argparse.Namespace) -> int:
    # After the check for root: these load the product's extension.
    from tests.bench.programs import build_programs  # noqa: PLC0415 - see above
    from tests.bench.report import (  # noqa: PLC0415 - see above
        as_json,
        evaluate,
        print_table,
    )
    from tests.bench.rounds import Rounds  # noqa: PLC0415 - see above
    from tests.bench.run_time import count_programs_named  # noqa: PLC0415 - see above

    count = options.count or (5_000 if options.quick else 20_000)
    turns = options.rounds or (1 if options.quick else 5)
    started = time.monotonic()
    others = count_programs_named("process_exec")
    rounds = Rounds(build_programs(), count, _tell)
    rounds.calibrate()
    rounds.alternate(turns)
    rounds.bpf()
    rounds.starts()
    if options.memory:
        rounds.memory()
    others = max(others, count_programs_named("process_exec"))
    lines = evaluate(rounds.values)
    color = options.color == "always" or (
        options.color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    )
    print(f"{count} processes per storm, rounds: {turns}, {os.uname().release}")
    print_table(lines, sys.stdout, color=color)
    if options.json:
        options.json.write_text(json.dumps(as_json(lines), indent=2) + "\n")
    if others or rounds.foreign > _FOREIGN_SHARE * 2 * count * turns:
        print(
            f"bench: the machine was busy ({others} other agents, {rounds.foreign} "
            "events of other processes): measure again",
            file=sys.stderr,
        )
    failed = [line.row.label for line in lines if line.mark == "FAIL"]
    _tell(f"took {time.monotonic() - started:.0f} s")
    for label in failed:
        print(f"bench: limit broken: {label}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
