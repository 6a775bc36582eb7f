# SPDX-License-Identifier: Apache-2.0
"""Compares the kernel's classifier with the evaluator: `python -m tests.fuzz`."""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog

from tests.fuzz.driver import POLICIES_MAX, Fuzz
from tests.fuzz.kernel import Classifier
from tests.fuzz.program import build_classifier

if TYPE_CHECKING:
    from tests.fuzz.driver import Summary

_COMPARISONS = 1_000_000
_REPORT_SECONDS = 10


def main() -> int:
    """Run; returns the exit status: 1 after a difference, which is printed."""
    arguments = _parse()
    level = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=level)
    print(f"seed {arguments.seed}", flush=True)
    # Not in the main thread, whose number is that of the process.
    with ThreadPoolExecutor(1) as pool:
        summary = pool.submit(_run, arguments).result()
    print(summary)
    if summary.failure:
        print(f"\nDIFFERENCE\n{summary.failure}")
    return 1 if summary.failure else 0


def _run(arguments: argparse.Namespace) -> Summary:
    with Classifier(build_classifier()) as classifier:
        return Fuzz(classifier).run(
            arguments.seed,
            arguments.comparisons,
            arguments.policies,
            _Reporter(),
            first_round=arguments.round,
        )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Random policies and hits: the kernel's classifier and a "
        "plain-Python evaluator have to agree on which selectors match. As root.",
    )
    add = parser.add_argument
    add("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    add("--comparisons", type=int, default=_COMPARISONS, metavar="N")
    add("--policies", type=int, default=POLICIES_MAX, metavar="N", help="of one round")
    add("--round", type=int, default=0, metavar="N", help="to begin with")
    return parser.parse_args()


class _Reporter:
    """Prints the summary now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, summary: Summary) -> None:
        now = time.monotonic()
        if now - self._last >= _REPORT_SECONDS:
            self._last = now
            print(summary, flush=True)


if __name__ == "__main__":
    sys.exit(main())
