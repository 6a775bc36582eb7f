# SPDX-License-Identifier: Apache-2.0
"""Hooks: places in the kernel and in programs, one model per section of a policy."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from tetragon_py.policy.diagnostic import PolicyValueError, quote
from tetragon_py.policy.model.actions import ReturnAction
from tetragon_py.policy.model.arguments import Argument, DataArgument, ReturnArgument
from tetragon_py.policy.model.names import AbsolutePath, Call, matches, spelled
from tetragon_py.policy.model.selectors import Selector
from tetragon_py.policy.schema import Flag, Model, Number, Text

__all__ = [
    "MESSAGE_MAX",
    "SECTIONS",
    "TAGS_MAX",
    "TAG_MAX",
    "Hook",
    "HookSection",
    "KprobeHook",
    "LsmHook",
    "ReturningHook",
    "TracepointHook",
    "UprobeHook",
    "UsdtHook",
]

#: In characters; longer ones are cut.
MESSAGE_MAX = 256
TAG_MAX = 128
TAGS_MAX = 16

_UINT64 = (1 << 64) - 1


class HookSection(StrEnum):
    """The lists of a policy that hold hooks."""

    KPROBES = "kprobes"
    FENTRIES = "fentries"
    TRACEPOINTS = "tracepoints"
    LSMHOOKS = "lsmhooks"
    UPROBES = "uprobes"
    USDTS = "usdts"


def _cut(limit: int) -> AfterValidator:
    def cut(value: str) -> str:
        if len(value) < 2:
            raise PolicyValueError("is shorter than 2 characters")
        return value[:limit]

    return AfterValidator(cut)


def _check_lsm_hook(value: str) -> str:
    for prefix in ("security_", "bpf_lsm_"):
        if value.startswith(prefix):
            raise PolicyValueError(
                f"{quote(value)} is no LSM hook",
                f"write it without {prefix}: {value.removeprefix(prefix)}",
            )
    return value


# Names become part of a path below /sys/kernel/tracing.
_TraceName = Annotated[Text, matches(r"[\w-]{1,256}", "name of a tracepoint")]
_LsmName = Annotated[
    Text, matches(r"[a-z_]\w{0,127}", "LSM hook"), AfterValidator(_check_lsm_hook)
]
_Word = Annotated[Text, matches(r"[^\s\0]{1,256}", "name of a static probe")]
_Message = Annotated[Text, _cut(MESSAGE_MAX)]
_Tag = Annotated[Text, _cut(TAG_MAX)]
_Address = Annotated[Number, Field(ge=0, le=_UINT64)]
_UserSymbol = Annotated[
    Text,
    matches(r"[^\s\0+]{1,1024}(\+(0x[0-9a-fA-F]{1,16}|\d{1,19}))?", "symbol"),
]
_Digest = Annotated[
    Text,
    matches(
        r"(?i:sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}"
        r"|sha512:[0-9a-f]{128}|build-id:([0-9a-f]{2}){1,64})",
        "digest",
        "write sha1:, sha256:, sha384:, sha512: or build-id: and all hex digits",
    ),
]
_ReturnAction = Annotated[ReturnAction, spelled(ReturnAction, "action")]


class Hook(Model):
    """What all hooks have."""

    args: tuple[Argument, ...] = ()
    selectors: tuple[Selector, ...] = ()
    message: _Message | None = None
    tags: tuple[_Tag, ...] = Field((), max_length=TAGS_MAX)


class ReturningHook(Hook):
    """What can be attached to the return of a function as well."""

    data: tuple[DataArgument, ...] = ()
    return_: Flag = Field(False, alias="return")
    return_arg: ReturnArgument | None = None


class _IgnoreCall(Model):
    call_not_found: Flag = False


class _IgnoreDigest(Model):
    digest_verification_failure: Flag = False


class KprobeHook(ReturningHook):
    """An entry of `kprobes` or `fentries`: a kernel function or a system call."""

    call: Call
    syscall: Flag = True
    return_arg_action: _ReturnAction | None = None
    ignore: _IgnoreCall = _IgnoreCall()


class TracepointHook(Hook):
    """An entry of `tracepoints`."""

    subsystem: _TraceName
    event: _TraceName
    raw: Flag = False


class LsmHook(Hook):
    """An entry of `lsmhooks`: the name without bpf_lsm_."""

    hook: _LsmName


class UprobeHook(ReturningHook):
    """An entry of `uprobes`: functions of one file."""

    path: AbsolutePath
    symbols: tuple[_UserSymbol, ...] = ()
    offsets: tuple[_Address, ...] = ()
    addrs: tuple[_Address, ...] = ()
    ref_ctr_offsets: tuple[_Address, ...] = ()
    btf_path: AbsolutePath | None = None
    binary_digests: tuple[_Digest, ...] = ()
    ignore: _IgnoreDigest = _IgnoreDigest()


class UsdtHook(Hook):
    """An entry of `usdts`: a probe that the program's author left in its file."""

    path: AbsolutePath
    provider: _Word
    name: _Word
    btf_path: AbsolutePath | None = None


#: The model of the entries of each section.
SECTIONS: dict[HookSection, type[Hook]] = {
    HookSection.KPROBES: KprobeHook,
    HookSection.FENTRIES: KprobeHook,
    HookSection.TRACEPOINTS: TracepointHook,
    HookSection.LSMHOOKS: LsmHook,
    HookSection.UPROBES: UprobeHook,
    HookSection.USDTS: UsdtHook,
}
