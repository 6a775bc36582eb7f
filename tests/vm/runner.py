# SPDX-License-Identifier: Apache-2.0
"""From a kernel of kernels.toml to a row of the table: image, guest, tests."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.corpus.folder import CORPUS
from tests.vm.expected import KERNEL_VARIABLE
from tests.vm.guest import Command, Outcome, run_in_guest
from tests.vm.image import prepare_image
from tests.vm.packages import PackageError
from tests.vm.ports import DIED, Limits
from tests.vm.report import Row
from tests.vm.results import RESULTS_VARIABLE, Results, read_results
from vmlinux.btf import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.vm.kernels import Kernel
    from tests.vm.programs import Sizes
    from tests.vm.tools import Tools

__all__ = ["CACHE", "ROOT", "SYSTEMD", "TESTS", "Job", "Runner", "jobs_of"]

ROOT = Path(__file__).resolve().parents[2]
CACHE = (ROOT / "build" / "vm").resolve()
#: What is cheap and says most comes first; published policies only where they are.
TESTS = (
    *("tests/vm/in_guest", "tests/bpf", "tests/e2e"),
    *(("tests/corpus",) if CORPUS.is_dir() else ()),
)
SYSTEMD = "-systemd"
_SYSTEMD_TESTS = ("tests/vm/in_systemd",)
#: Seconds, natively; a guest's slowness multiplies them. A test that hangs is ended by
#: pytest, which says where, before the guest is given up.
_BOOT_LIMIT = 8
_TEST_LIMIT = 16
_SILENCE_LIMIT = 20
_FAILURES_MAX = 10
_PASSED_ON = ("TETRAGON_CORPUS", "TETRAGON_TEST_FORCE")


@dataclass(frozen=True, slots=True)
class Job:
    """One boot of one kernel."""

    kernel: Kernel
    tests: Sequence[str]  # arguments of pytest
    suffix: str = ""

    @property
    def name(self) -> str:
        """For people and for folders."""
        return f"{self.kernel.name}{self.suffix}"

    @property
    def has_systemd(self) -> bool:
        """Whether systemd is PID 1."""
        return self.suffix == SYSTEMD


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs jobs, one after the other."""

    tools: Tools
    seconds_max: float  # per guest
    say: Callable[[str], None]
    is_update: bool = False  # of programs.toml: sizes are measured, not compared

    def run_tests(self, job: Job) -> Row:
        """Boot, run pytest, read what it did; without a kernel a row that says so."""
        folder = CACHE / "results" / job.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        results = folder / "results.jsonl"
        environment = {
            KERNEL_VARIABLE: job.kernel.name,
            RESULTS_VARIABLE: str(results),
            "TETRAGON_TEST_UPDATE": "1" if self.is_update else "",
        }
        arguments = (
            *(".venv/bin/python", "-m", "pytest", "-p", "tests.vm.results"),
            *("-p", "no:cacheprovider", f"--maxfail={_FAILURES_MAX}", "--tb=short"),
            f"--timeout={_TEST_LIMIT * self.tools.slowness}",
            f"--color={'yes' if sys.stdout.isatty() else 'no'}",
            *job.tests,
        )
        try:
            outcome, release = self._run(job, arguments, environment, folder)
        except (PackageError, ImageError) as error:
            self.say(str(error))
            nothing = Outcome(DIED, boot_seconds=None, seconds=0, problem=str(error))
            return Row(job.name, "-", nothing, Results())
        return Row(job.name, release, outcome, read_results(results))

    def run_command(self, job: Job, arguments: Sequence[str]) -> Outcome:
        """Boot, run a command of the user's.

        Raises:
            PackageError, ImageError: there is nothing to boot.
        """
        folder = CACHE / "results" / "command"
        folder.mkdir(parents=True, exist_ok=True)
        environment = {KERNEL_VARIABLE: job.kernel.name}
        return self._run(job, arguments, environment, folder)[0]

    def sizes(self, job: Job) -> Sizes:
        """The sizes of BPF programs that the guest's test has left."""
        text = (CACHE / "results" / job.name / "programs.json").read_text()
        sizes: Sizes = json.loads(text)
        return sizes

    def _run(
        self,
        job: Job,
        arguments: Sequence[str],
        environment: dict[str, str],
        folder: Path,
    ) -> tuple[Outcome, str]:
        image = prepare_image(job.kernel, CACHE, self.say)
        self.say(f"booting {job.name}: Linux {image.release}")
        slowness = self.tools.slowness
        inherited = {name: os.environ.get(name, "") for name in _PASSED_ON}
        common = {
            "TETRAGON_TEST_SLOWNESS": str(slowness),
            "TETRAGON_TEST_OUTPUT": str(folder),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": str(shutil.get_terminal_size().columns),
        }
        command = Command(
            arguments,
            {**inherited, **common, **environment},
            ROOT,
            folder,
            Limits(_BOOT_LIMIT * slowness, _SILENCE_LIMIT * slowness, self.seconds_max),
            job.has_systemd,
        )
        outcome = run_in_guest(image, self.tools, command, job.kernel.command_line)
        if outcome.problem:
            self.say(outcome.problem)
        return outcome, image.release


def jobs_of(
    kernel: Kernel,
    chosen: Sequence[str],
    smoke: Sequence[str] = (),
    *,
    needs_systemd: bool = False,
) -> list[Job]:
    """The boots of a kernel: chosen tests, or smoke tests, or all of them.

    All are two boots where the kernel boots systemd too.

    Args:
        kernel: That is booted.
        chosen: Tests; none: all.
        smoke: Tests instead of all.
        needs_systemd: One boot, with systemd, whatever the kernel.
    """
    if needs_systemd:
        return [Job(kernel, chosen or _SYSTEMD_TESTS, SYSTEMD)]
    if chosen:
        return [Job(kernel, chosen)]
    if smoke:
        return [Job(kernel, smoke, "-smoke")]
    jobs = [Job(kernel, TESTS)]
    if kernel.has_systemd:
        jobs.append(Job(kernel, _SYSTEMD_TESTS, SYSTEMD))
    return jobs
