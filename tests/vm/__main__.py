# SPDX-License-Identifier: Apache-2.0
"""Runs the kernel tests in guests: `make test-vm`, `make test-vm KERNEL=6.12`.

For each kernel of kernels.toml: fetch its package, boot it with the host's root file
system below an overlay, run pytest there. One guest at a time; a table at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from tests.vm.kernels import KernelsError, load_kernels
from tests.vm.packages import PackageError
from tests.vm.programs import PROGRAMS_FILE, load_table, merge_sizes, render_table
from tests.vm.report import results_table, support_table
from tests.vm.runner import CACHE, ROOT, SYSTEMD, Job, Runner, jobs_of
from tests.vm.tools import prepare_tools
from vmlinux.btf import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.vm.kernels import Kernel, Kernels
    from tests.vm.programs import Sizes
    from tests.vm.report import Row

_STARTED = time.monotonic()
_UNUSABLE = 3
_INTERRUPTED = 130
_PROGRAMS_TEST = "tests/vm/in_guest/test_programs.py"
_EXAMPLES = """\
examples:
  make test-vm                                  all kernels, all tests
  make test-vm KERNEL=5.10                      one kernel
  .venv/bin/python -m tests.vm 6.12 -- tests/e2e/test_exec.py -x
  .venv/bin/python -m tests.vm 5.10 --systemd
  .venv/bin/python -m tests.vm 6.12 --run sh -c 'uname -r; dmesg | tail'
  .venv/bin/python -m tests.vm --update-programs

Exit status: 0 if all tests passed, 1 if one failed or a guest died, 2 for usage, 3 if
there is no root, no QEMU or a mistake in kernels.toml. With --run that of the command,
124 if its time is over, 125 if the guest died.
Downloads and unpacked kernels are below build/vm.
"""


def main() -> int:
    """Run; the exit status."""
    try:
        return _main(load_kernels(), sys.argv[1:])
    except (PackageError, ImageError, KernelsError) as error:
        _say(str(error))
        return _UNUSABLE
    except KeyboardInterrupt:
        return _INTERRUPTED


def _main(given: Kernels, arguments: list[str]) -> int:
    options = _parse(arguments, given)
    if options.support_table:
        _print_support(given)
        return 0
    if os.geteuid() != 0:
        _say("needs root, to share the host's root file system with the guest")
        return _UNUSABLE
    tools = prepare_tools(given.qemu, CACHE, options.accel, _say)
    runner = Runner(tools, options.timeout, _say, options.update_programs)
    chosen = [given.kernels[name] for name in options.kernels]
    if options.run:
        job = Job(chosen[0], (), SYSTEMD if options.systemd else "")
        outcome = runner.run_command(job, options.run)
        return outcome.status
    rows, is_good = _run_kernels(runner, chosen, options, given.smoke)
    print(f"\n{results_table(rows)}")
    if not is_good and not options.keep_going:
        print("not further than the first failure: --keep-going runs all")
    return 0 if is_good else 1


def _run_kernels(
    runner: Runner,
    kernels: Sequence[Kernel],
    options: argparse.Namespace,
    smoke: Sequence[str],
) -> tuple[list[Row], bool]:
    rows: list[Row] = []
    measured: dict[str, Sizes] = {}
    tests = [_PROGRAMS_TEST] if options.update_programs else options.tests
    for kernel in kernels:
        is_late = time.monotonic() - _STARTED > options.smoke_after
        few = smoke if options.smoke or is_late else ()
        for job in jobs_of(kernel, tests, few, needs_systemd=options.systemd):
            rows.append(runner.run_tests(job))
            if not (rows[-1].is_good or options.keep_going):
                return rows, False
            if options.update_programs and rows[-1].is_good:
                measured[kernel.name] = runner.sizes(job)
    if measured:
        _update_programs(measured)
    return rows, all(row.is_good for row in rows)


def _parse(arguments: list[str], given: Kernels) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.vm",
        description="Run the kernel tests on Debian's kernels, in QEMU.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("kernels", nargs="*", metavar="KERNEL", help="of kernels.toml; default: all")
    add("--smoke", action="store_true", help="only the tests of [smoke]")
    add(
        "--smoke-after",
        type=float,
        default=float("inf"),
        metavar="SECONDS",
        help="kernels whose turn comes later get only the tests of [smoke]",
    )
    add("--keep-going", action="store_true", help="go on after a kernel that failed")
    add("--accel", default="", help="QEMU's -accel; default: kvm, else emulation")
    add("--timeout", type=float, default=1200, help="seconds per guest (%(default)s)")
    add("--update-programs", action="store_true", help="write programs.toml anew")
    add("--support-table", action="store_true", help="print the README's table")
    add("--run", nargs=argparse.REMAINDER, help="run this command instead of tests")
    add(
        "--systemd",
        action="store_true",
        help="systemd is PID 1; without --run and tests: those of it",
    )
    tests = []
    if "--" in arguments and "--run" not in arguments:
        index = arguments.index("--")
        arguments, tests = arguments[:index], arguments[index + 1 :]
    parsed = parser.parse_args(arguments)
    parsed.tests = tests
    known = given.kernels
    if unknown := [name for name in parsed.kernels if name not in known]:
        parser.error(f"{', '.join(unknown)}: there are {', '.join(known)}")
    parsed.kernels = parsed.kernels or list(known)
    return parsed


def _print_support(given: Kernels) -> None:
    # Not for the rest: the runner itself needs no built extension.
    from tetragon_py.libbpf.features import FEATURES, REQUIRED  # noqa: PLC0415 - above

    titles = {name: feature.title for name, feature in FEATURES.items()}
    print(support_table(given.kernels.values(), titles, REQUIRED))


def _say(text: str) -> None:
    print(f"[{time.monotonic() - _STARTED:6.1f} s] {text}", flush=True)


def _update_programs(measured: dict[str, Sizes]) -> None:
    before = load_table(PROGRAMS_FILE.read_text()) if PROGRAMS_FILE.exists() else {}
    PROGRAMS_FILE.write_text(render_table(merge_sizes(before, measured)))
    _say(f"wrote {PROGRAMS_FILE.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
