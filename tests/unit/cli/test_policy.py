# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.policy: what check and compile say, and the status."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path

import pytest
import structlog

from tests.unit.compiler.fake_target import FakeTarget
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.capture.surface import REGISTERS
from tetragon_py.compiler.tables.automaton import STATES_MAX
from tetragon_py.libbpf import features
from tetragon_py.libbpf.features import FEATURES, ProbeResult
from tetragon_py.loader import kernel
from tetragon_py.policy.source import FILE_MAX_BYTES
from tetragon_py.policy.values.parse import EQUAL_MAX_BYTES, PATTERN_MAX_BYTES

README = (Path(__file__).parents[3] / "README.md").read_text()
CORPUS = Path(
    os.environ.get("TETRAGON_CORPUS")
    or Path(__file__).parents[4] / "shared/corpus/examples"
)
HEAD = """
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: {name}
spec:
"""
OPENAT = """
kprobes:
- call: sys_openat
  args:
  - {index: 1, type: string}
"""
TCP = """
kprobes:
- call: tcp_connect
  syscall: false
"""
DISPATCHER = "system call dispatcher (tp_btf/sys_enter)"
SEES = "sees every call through the system call table; not what io_uring does"


class Target(FakeTarget):
    """The kernel of the compiler's tests."""

    def __init__(self):
        super().__init__()
        self.unjudged = {}


class Host:
    """Policies in a folder; `missing` is what the kernel lacks."""

    def __init__(self, folder):
        self.folder = folder
        self.missing = set()

    def write(self, name, spec):
        path = self.folder / f"{name}.yaml"
        body = textwrap.indent(textwrap.dedent(spec).strip("\n"), "  ")
        path.write_text(HEAD.strip("\n").format(name=name) + "\n" + body + "\n")
        return str(path)

    def probe(self, name):
        reason = "no PMU" if name in self.missing else ""
        return ProbeResult(name, FEATURES[name].title, "5.0", not reason, reason)


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A kernel made of tables, asked by root."""
    found = Host(tmp_path)
    monkeypatch.setattr(kernel, "KernelTarget", Target)
    monkeypatch.setattr(features, "probe", found.probe)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    yield found
    structlog.reset_defaults()


@pytest.fixture
def anybody(host, monkeypatch):
    """The same kernel, asked by another user: who may try nothing."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(features, "probe", None)
    return host


# ---- check: the status ----


def test_right(invoke, anybody):
    """A right policy: status 0, nothing on standard error."""
    result = invoke("policy", "check", anybody.write("opens", OPENAT))

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "1 policy is right\nhow hooks are attached is told to root only\n"
    )


OPENAT_FILTER = OPENAT + "  selectors:\n  - matchArgs:\n    - "
TCP_ARGUMENT = TCP + "  args:\n  - "
WRONG = {
    "an argument that a filter needs is not there": (
        OPENAT_FILTER + '{index: 2, operator: Equal, values: ["1"]}',
        "12:17: error: spec.kprobes[0].selectors[0].matchArgs[0].index: the hook has "
        "no argument with index 2",
    ),
    "an argument that the function has not": (
        TCP_ARGUMENT + "{index: 3, type: int}",
        "10:7: error: spec.kprobes[0].args[0]: 'tcp_connect' has no argument 3",
    ),
    "a type that there is not": (
        TCP_ARGUMENT + "{index: 0, type: soc}",
        "10:24: error: spec.kprobes[0].args[0].type: unknown argument type 'soc'",
    ),
    "a type that system calls have not": (
        OPENAT.replace("string", "file"),
        "9:7: error: spec.kprobes[0].args[0]: a system call passes no file",
    ),
    "a function that is no system call": (
        "kprobes: [{call: tcp_connect}]",
        "6:20: error: spec.kprobes[0].call: 'tcp_connect' is a function and no system "
        "call",
    ),
    "a system call that no kernel has": (
        OPENAT.replace("openat", "openat3"),
        "7:11: error: spec.kprobes[0].call: the kernel has no x64 system call "
        "'openat3'",
    ),
    "a filter that is impossible for the type": (
        OPENAT_FILTER + '{index: 1, operator: GT, values: ["1"]}',
        "12:30: error: spec.kprobes[0].selectors[0].matchArgs[0].operator: GT does not "
        "work on type string",
    ),
    "a pattern that is too long": (
        OPENAT_FILTER + f"{{index: 1, operator: Prefix, values: [/{'x' * 248}]}}",
        "12:47: error: spec.kprobes[0].selectors[0].matchArgs[0].values[0]: is longer "
        "than 248 bytes",
    ),
    "too many selectors": (
        OPENAT
        + "  selectors:\n"
        + "  - matchPIDs: [{operator: In, values: [1]}]\n" * 2000,
        "7:5: error: spec.kprobes[0]: syscall openat gets 2000 selectors, more than "
        "1024",
    ),
    "a field that there is not": ("hello: world", "6:3: error: spec.hello: unknown f"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("strict", [(), ("--strict",)])
def test_wrong(invoke, anybody, name, strict):
    """A mistake: status 2, one message with file, line and field."""
    spec, message = WRONG[name]
    file = anybody.write("wrong", spec)
    result = invoke("policy", "check", *strict, file)
    [line] = [line for line in result.stderr.splitlines() if "error: " in line]

    assert result.exit_code == 2
    assert line.startswith(f"{file}:{message}")
    assert result.stdout.startswith("0 policies are right, 1 error")


ELSEWHERE = {
    "function": (TCP.replace("tcp", "udp"), "the kernel has no function 'udp_connect'"),
    "system call": (
        OPENAT.replace("openat", "mseal"),
        "the kernel has no x64 system call 'mseal'",
    ),
    "tracepoint": (
        "tracepoints: [{subsystem: none, event: such}]",
        "the kernel has no tracepoint 'none/such'",
    ),
    "LSM hook": ("lsmhooks: [{hook: such}]", "the kernel has no LSM hook 'such'"),
    "uprobe": (
        "uprobes: [{path: /bin/sh, symbols: [main]}]",
        "uprobes cannot run in this release",
    ),
    "workloads": (
        f"podSelector: {{matchLabels: {{app: web}}}}\n{OPENAT}",
        "podSelector cannot run in this release: workloads are not told apart",
    ),
    "placeholder": (
        """
        kprobes:
        - call: tcp_connect
          syscall: false
          args: [{index: 0, type: sock}]
          selectors:
          - matchArgs:
            - {index: 0, operator: DAddr, values: ["${NET}"]}
        """,
        "'${NET}' is no address or network",
    ),
    # here another argument differs too: the function had another signature there
    "signature": (
        """
        kprobes:
        - call: tcp_connect
          syscall: false
          args: [{index: 0, type: file}, {index: 2, type: int}]
        """,
        "'tcp_connect' has no argument 2",
    ),
    "action": (
        OPENAT + "  selectors:\n"
        "  - matchActions: [{action: Post, kernelStackTrace: true}]\n",
        "stack traces are not collected yet",
    ),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_right_elsewhere(invoke, anybody, name):
    """What this kernel or release cannot run is a note: status 0, with --strict 1."""
    spec, message = ELSEWHERE[name]
    file = anybody.write("elsewhere", spec)
    result = invoke("policy", "check", file)
    notes = [line for line in result.stderr.splitlines() if " note: " in line]

    assert result.exit_code == 0
    assert [line.split(": ", 3)[3] for line in notes] == [message]
    assert " error: " not in result.stderr
    assert invoke("policy", "check", "--strict", file).exit_code == 1


def test_files_that_cannot_be_read(invoke, anybody):
    """A file that is missing is a mistake of the command line: status 2."""
    file = str(anybody.folder / "missing.yaml")
    result = invoke("policy", "check", file)

    assert result.exit_code == 2
    assert result.stderr == (
        f"{file}: error: cannot be read: No such file or directory\n"
    )


def test_the_others_are_judged_all_the_same(invoke, anybody):
    """One wrong policy does not hide what is to be said about the next one."""
    anybody.write("a", "kprobes: [{call: sys_openat, args: [{index: 9, type: int}]}]")
    anybody.write("b", OPENAT)
    anybody.write("c", TCP.replace("tcp", "udp"))
    result = invoke("policy", "check", str(anybody.folder))

    assert result.exit_code == 2
    assert [line.split(" ")[1] for line in result.stderr.splitlines()[::2]] == [
        "error:",
        "note:",
    ]
    assert result.stdout.startswith("2 policies are right, 1 error, 1 note\n")


def test_a_name_that_comes_twice(invoke, host):
    """Files are judged each for itself; that they exclude each other is a note."""
    first = host.write("same", OPENAT)
    folder = host.folder / "more"
    folder.mkdir()
    second = Host(folder).write("same", TCP)
    result = invoke("policy", "check", first, second)

    assert result.exit_code == 0
    assert result.stderr == (
        f"{second}:4:9: note: metadata.name: same is also the name of a policy in "
        f"{first}:4: they cannot be loaded together\n"
    )
    assert f"same  {first}\n" in result.stdout
    assert f"same  {second}\n" in result.stdout
    assert result.stdout.endswith("2 policies are right, 1 note\n")


# ---- check: how hooks are attached ----


def test_root_is_told_how_hooks_are_attached(invoke, host):
    """By policy and way: how many, what it guarantees, names; then the cost of all."""
    opens = host.write("opens", OPENAT + TCP.replace("kprobes:", "").strip("\n"))
    reads = host.write("reads", OPENAT.replace("openat", "read"))
    result = invoke("policy", "check", opens, reads)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"opens  {opens}\n"
        f"  1 system call by {DISPATCHER}\n"
        f"    {SEES}\n"
        "    openat\n"
        "  1 function by trampoline (fentry)\n"
        "    a hit inside of itself on the same CPU is skipped, and counted\n"
        "    tcp_connect\n"
        f"reads  {reads}\n"
        f"  1 system call by {DISPATCHER}\n"
        f"    {SEES}\n"
        "    read\n"
        "together: 3 hooks, 3 selectors, 0 tables with 0 rows, 2.7 KiB\n"
        "2 policies are right\n"
    )


MANY = """
kprobes:
- call: list:all
lists:
- name: all
  type: generated_syscalls
"""


def test_many_hooks_do_not_flood(invoke, host, monkeypatch):
    """Of hundreds the first names are shown; all of them with --verbose."""
    names = [f"call_with_a_name_{number}" for number in range(350)]
    table = {"x64": {name: number for number, name in enumerate(names)}}

    def make():
        target = Target()
        target.syscalls = table
        return target

    monkeypatch.setattr(kernel, "KernelTarget", make)
    file = host.write("all", MANY)
    short = invoke("policy", "check", file).stdout.splitlines()
    long = invoke("policy", "check", "-v", file).stdout.splitlines()

    assert len(short) == 6
    assert short[1] == f"  350 system calls by {DISPATCHER}"
    assert re.fullmatch(r"    call_with_a_name_0, .* and 34\d more", short[3])
    assert max(map(len, short[1:])) <= 96
    assert len(long) == 355
    assert long[3] == (
        "    call_with_a_name_0: 1 selector, 0 tables with 0 rows, 892 bytes"
    )


def test_hooks_that_are_shared(invoke, host):
    """--verbose says how many of a hook's selectors are the policy's own."""
    files = [host.write(name, OPENAT) for name in ("a", "b")]
    lines = invoke("policy", "check", "--verbose", *files).stdout.splitlines()

    assert lines[3] == ("    openat: 1 of 2 selectors, 0 tables with 0 rows, 932 bytes")


def test_hooks_that_cannot_be_attached(invoke, host):
    """What the kernel lacks is a note, with the reason; the table says so too."""
    host.missing = {"fentry", "kprobe"}
    file = host.write("tcp", TCP)
    result = invoke("policy", "check", file)

    assert result.exit_code == 0
    assert result.stderr == (
        f"{file}:7:5: note: spec.kprobes[0]: function tcp_connect cannot be attached "
        "by kprobe: this kernel has no kprobe (kernel functions by kprobe): no PMU\n"
    )
    assert (
        "  1 function: cannot be attached by kprobe\n    tcp_connect\n" in result.stdout
    )
    assert invoke("policy", "check", "--strict", file).exit_code == 1


# ---- colours, help ----


def test_plain_in_a_pipe(invoke, host):
    """What is no terminal gets no colours."""
    host.missing = {"fentry", "kprobe"}
    result = invoke("policy", "check", host.write("tcp", TCP))

    assert "\x1b" not in result.stdout + result.stderr


def test_coloured_on_a_terminal(invoke, host, monkeypatch):
    """A terminal gets colours, unless NO_COLOR says otherwise."""
    host.missing = {"fentry", "kprobe"}
    file = host.write("tcp", TCP)
    monkeypatch.setattr("tetragon_py.cli.policy._is_terminal", lambda _: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    result = invoke("policy", "check", file)

    assert ": \x1b[36m\x1b[1mnote: \x1b[0mspec.kprobes" in result.stderr
    assert result.stdout.startswith("\x1b[1mtcp\x1b[0m  ")
    monkeypatch.setenv("NO_COLOR", "1")
    result = invoke("policy", "check", file)
    assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize("verb", ["check", "compile"])
def test_help_has_examples(invoke, verb):
    """The help shows how it is used, and what the status means."""
    text = invoke("policy", verb, "--help").stdout

    assert "Examples:\n" in text
    assert f"tetragon-py policy {verb} " in text
    assert "Exit status: 0 " in text


@pytest.mark.parametrize("verb", ["check", "compile"])
def test_files_are_needed(invoke, verb):
    """Without a file the line says what is missing."""
    result = invoke("policy", verb)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "tetragon-py: Missing argument 'FILES...'. "
        f"Try 'tetragon-py policy {verb} --help'.\n"
    )


# ---- compile ----


def test_compile_dumps_the_tables(invoke, anybody):
    """--dump prints the plan; without it only its sizes."""
    file = anybody.write("opens", OPENAT)
    dumped = invoke("policy", "compile", "--dump", file)
    counted = invoke("policy", "compile", file)

    assert (dumped.exit_code, dumped.stderr) == (0, "")
    assert dumped.stdout.startswith(
        "syscall openat x64\n  slot 0: string from register"
    )
    assert (counted.exit_code, counted.stdout) == (
        0,
        "1 hook, 1 selector, 0 tables with 0 rows, 932 bytes\n",
    )


def test_compile_refuses(invoke, anybody):
    """What cannot run on this kernel is an error here; the rest is dumped."""
    files = [
        anybody.write("opens", OPENAT),
        anybody.write("udp", TCP.replace("tcp", "udp")),
    ]
    result = invoke("policy", "compile", "--dump", *files)

    assert result.exit_code == 2
    assert " error: spec.kprobes[0].call: the kernel has no function" in result.stderr
    assert result.stdout.startswith("syscall openat x64\n")


# ---- what the README says ----


def test_example_of_the_readme(invoke, host):
    """The policy that everybody copies is right, and draws what stands there."""
    [text] = re.findall(r"```yaml\n(apiVersion.*?)```", README, re.DOTALL)
    (host.folder / "ssh-configuration.yaml").write_text(text)
    result = invoke("policy", "check", str(host.folder / "ssh-configuration.yaml"))
    said = result.stdout.replace(f"{host.folder}/", "")

    assert (result.exit_code, result.stderr) == (0, "")
    assert f"policy check ssh-configuration.yaml\n{said}" in README


def test_limits_of_the_readme():
    """The numbers are those of the tables."""
    table = README.partition("### Limits of policies")[2].partition("## ")[0]
    rows = dict(re.findall(r"\| (.+?) \| (\d+)", table))

    assert {what: int(number) for what, number in rows.items()} == {
        "attach points of all policies": c.HOOKS_MAX - 1,
        "selectors on one attach point, of all policies": c.SELECTORS_MAX,
        "different arguments captured at one attach point": c.HOOK_ARGUMENTS_MAX,
        "different properties compared at one attach point": c.DIMENSIONS_MAX,
        "bytes of a `Prefix` or `Postfix` pattern": PATTERN_MAX_BYTES,
        "bytes of an `Equal` text": EQUAL_MAX_BYTES,
        "bytes of all texts that `SubString` searches for in one argument": (
            STATES_MAX - 1
        ),
        "sets of `followForks` and `followChildren`, of all policies": (
            c.FOLLOW_SETS_MAX
        ),
        "arguments from registers: the first": REGISTERS,
        "MiB of a policy file": FILE_MAX_BYTES >> 20,
    }


# ---- this kernel ----


@pytest.mark.skipif(not CORPUS.exists(), reason="no corpus of published policies")
def test_published_policies_are_right(invoke, monkeypatch):
    """None of the published examples is wrong, whatever this kernel can run of it."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    paths = sorted(map(str, (*CORPUS.rglob("*.yaml"), *CORPUS.rglob("*.yml"))))
    assert len(paths) >= 83
    result = invoke("policy", "check", *paths)
    structlog.reset_defaults()

    assert [line for line in result.stderr.splitlines() if ": error: " in line] == []
    assert result.exit_code == 0
