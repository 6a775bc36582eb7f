# SPDX-License-Identifier: Apache-2.0
"""The one model of the configuration, and how it is put together.

Command line, environment and files come in, a validated and frozen Settings comes out,
or one SettingsError with all mistakes of all sources, one per line. Precedence:
defaults < files < environment < command line; among the files `/etc/tetragon-py/*.yaml`
in name order < `/etc/tetragon-py/conf.d/` < the same two of `--config-dir`. An empty
value goes back to the default. `options()` describes every field for the command
line's help and for the documentation, so that nothing is written twice.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tetragon_py.errors import SettingsError
from tetragon_py.settings_files import Entry, read_directory
from tetragon_py.settings_values import (
    ByteSize,
    Duration,
    FileMode,
    format_size,
    refuse_nul,
    split_names,
    split_paths,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo

__all__ = ["VARIABLE_PREFIX", "Option", "Settings", "load_settings", "options"]

VARIABLE_PREFIX = "TETRAGON_PY_"

_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30
_RINGS = ("lifecycle_ring_size", "verdict_ring_size", "policy_ring_size")
_RINGS_MAX_BYTES = _GIB
_STANDARD_OUTPUT = "-"
#: Kinds of values that say themselves what is allowed.
_WRITTEN = (ByteSize, Duration, FileMode)
#: A value in a message is cut to this many characters: it may be a pasted file.
_SHOWN_CHARS = 80
#: More mistakes than this are counted only: some file was not meant for us.
_SHOWN_PROBLEMS = 50


# Pages of 4 KiB are the smallest; the kernel wants powers of two of them.
_RingSize = Annotated[int, BeforeValidator(ByteSize(4 * _KIB, _GIB))]
_Names = Annotated[tuple[str, ...], BeforeValidator(split_names)]
_Paths = Annotated[tuple[Path, ...], BeforeValidator(split_paths)]
_FilePath = Annotated[Path, AfterValidator(refuse_nul)]
_Duration = Annotated[float, BeforeValidator(Duration(1, 365 * 86400))]
_FileMode = Annotated[int, BeforeValidator(FileMode())]


class Settings(BaseSettings):
    """How one agent runs. Made by `load_settings`; never changed afterwards."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=False,  # a mode is a number here, and octal text outside
    )

    config_dir: _FilePath | None = Field(
        None,
        description="Directory with more *.yaml files and a conf.d; it must exist and "
        "overrides /etc/tetragon-py.",
    )
    output: Literal["json", "compact"] = Field(
        "json", description="Form of the events on standard output."
    )
    export_filename: _FilePath | None = Field(
        None,
        description="File that gets the events as JSON lines; standard output then "
        "gets them only if `output` is given too. - is standard output.",
    )
    export_file_max_size_mb: int = Field(
        100,
        ge=0,
        le=1_000_000,
        description="Size in MiB at which the export file is rotated; 0: never.",
    )
    export_file_rotation_interval: _Duration = Field(
        0.0, description="Age at which the export file is rotated; 0s: never."
    )
    export_file_max_backups: int = Field(
        5,
        ge=0,
        le=100_000,
        description="Rotated files that are kept; 0: all.",
    )
    export_file_max_total_mb: int = Field(
        0,
        ge=0,
        le=1_000_000_000,
        description="MiB of the export file and its backups together: the oldest "
        "go; 0: no limit.",
    )
    export_file_compress: bool = Field(
        default=False, description="Compress rotated files, but for the newest (gzip)."
    )
    export_file_perm: _FileMode = Field(
        0o600, description="Mode of export files that are made, in octal."
    )
    export_file_group: str = Field(
        "",
        max_length=32,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Group of export files that are made, name or number; empty: the "
        "agent's.",
    )
    tracing_policy: _Paths = Field(
        (),
        description="Policies (TracingPolicy) to load: files or directories, separated "
        "by commas; the option can be given several times.",
    )
    tracing_policy_dir: _FilePath = Field(
        Path("/etc/tetragon-py/tetragon.tp.d"),
        description="Directory with policies to load: *.yaml, *.yml, *.json; the "
        "default one need not exist.",
    )
    strict: bool = Field(
        default=False,
        description="Do not start if a file of `tracing_policy_dir` is wrong; else it "
        "is left out, and told.",
    )
    watch_policies: bool = Field(
        default=False,
        description="Reload when policy files change; else only on SIGHUP.",
    )
    fields: Literal["standard", "extended"] = Field(
        "standard",
        description="Fields of the JSON: those of Tetragon, or all that is known.",
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Form of the agent's own log on standard error."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged."
    )
    color: Literal["auto", "always", "never"] = Field(
        "auto", description="Colors of compact output and log; auto: on a terminal."
    )
    timestamps: bool = Field(
        default=False, description="Start the lines of compact output with the time."
    )
    node_name: str = Field(
        "",
        max_length=253,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Name of this host in events; empty: the variable NODE_NAME, "
        "else the host name.",
    )
    enable_process_cred: bool = Field(
        default=False, description="Show credentials and capabilities of processes."
    )
    enable_process_ns: bool = Field(
        default=False, description="Show the namespaces of processes."
    )
    enable_ancestors: bool = Field(
        default=False, description="Show all ancestors of a process."
    )
    enable_process_environment_variables: bool = Field(
        default=False,
        description="Show the environment variables of processes; they may hold "
        "secrets.",
    )
    filter_environment_variables: _Names = Field(
        (),
        description="Show only the environment variables of these names; empty: all.",
    )
    username_metadata: Literal["disabled", "unix"] = Field(
        "disabled", description="Show user names, read from the host's user database."
    )
    lifecycle_ring_size: _RingSize = Field(
        16 * _MIB, description="Ring buffer for fork, exec and exit, in bytes."
    )
    verdict_ring_size: _RingSize = Field(
        8 * _MIB, description="Ring buffer for enforcement (reserved), in bytes."
    )
    policy_ring_size: _RingSize = Field(
        32 * _MIB, description="Ring buffer for policy events, in bytes."
    )
    process_table_entries: int = Field(
        65536,
        ge=1024,
        le=4194304,
        description="Processes that the kernel's table can hold.",
    )
    arguments_max_size: Annotated[
        int, BeforeValidator(ByteSize(4 * _KIB, 192 * _KIB, step=8))
    ] = Field(192 * _KIB, description="Arguments of one exec are cut at this size.")
    environment_max_size: Annotated[
        int, BeforeValidator(ByteSize(4 * _KIB, 128 * _KIB, step=8))
    ] = Field(128 * _KIB, description="Environment of one exec is cut at this size.")
    keep_sensors_on_exit: bool = Field(
        default=False,
        description="Leave hooks and policies in force when the agent ends or dies; "
        "events wait for the next start.",
    )
    bpf_dir: str = Field(
        "tetragon-py",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        max_length=64,
        description="Where these are pinned, below /sys/fs/bpf; their state is in the "
        "runtime directory.",
    )
    loss_interval: float = Field(
        1.0,
        ge=0.05,
        le=60,
        allow_inf_nan=False,
        description="Seconds between two looks for lost and repeated events.",
    )
    heartbeat_interval: float = Field(
        60.0,
        ge=0,
        le=86400,
        allow_inf_nan=False,
        description="Seconds between two events that say how the agent does; 0: none.",
    )
    runtime_dir: _FilePath = Field(
        Path("/run/tetragon-py"),
        description="Directory for the state that `tetragon-py status` and the next "
        "start read.",
    )
    procfs: _FilePath = Field(
        Path("/proc"), description="Where the host's procfs is mounted."
    )

    @property
    def stdout(self) -> bool:
        """Standard output gets events: no export file, or `output` was asked for."""
        return self.export_file is None or "output" in self.model_fields_set

    @property
    def export_file(self) -> Path | None:
        """The export file if there is one: "-" is none."""
        name = self.export_filename
        return None if name is None or str(name) == _STANDARD_OUTPUT else name

    @property
    def effective_node_name(self) -> str:
        """The name that events carry: never empty."""
        return self.node_name or os.environ.get("NODE_NAME", "") or os.uname().nodename

    @model_validator(mode="after")
    def _limit_rings(self) -> Self:
        total = sum(getattr(self, name) for name in _RINGS)
        if total > _RINGS_MAX_BYTES:
            names = ", ".join(name.replace("_", "-") for name in _RINGS)
            raise ValueError(
                f"{names} are {format_size(total)} together, at most "
                f"{format_size(_RINGS_MAX_BYTES)} is allowed"
            )
        return self

    @model_validator(mode="after")
    def _check_export(self) -> Self:
        if str(self.export_filename) == _STANDARD_OUTPUT and self.output != "json":
            raise ValueError(
                "export-filename - means JSON lines on standard output, output "
                f"{self.output} would be there too"
            )
        if 0 < self.export_file_max_total_mb < self.export_file_max_size_mb:
            raise ValueError(
                "export-file-max-total-mb is less than export-file-max-size-mb: not "
                "even one file has room"
            )
        return self

    # pydantic-settings' own sources know neither lines nor unknown variables and stop
    # at the first mistake; load_settings reads in their place.
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what `load_settings` has gathered."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Option:
    """One field as the outside sees it: for --help, README and error messages."""

    field: str
    name: str  #: in files; with two dashes before it on the command line
    variable: str
    metavar: str  #: stands for the value; empty for a flag
    choices: tuple[str, ...]
    default: str  #: as one would write it; empty if there is none
    allowed: str  #: what a value may be: "a path", "json or compact"
    description: str


def options() -> tuple[Option, ...]:
    """Describe all fields, in the order of their definition."""
    return tuple(_describe(name, f) for name, f in Settings.model_fields.items())


def _describe(name: str, field: FieldInfo) -> Option:
    metavar, allowed = _kind(field)
    literal = get_origin(field.annotation) is Literal
    return Option(
        field=name,
        name=name.replace("_", "-"),
        variable=VARIABLE_PREFIX + name.upper(),
        metavar=metavar,
        choices=get_args(field.annotation) if literal else (),
        default=_default_text(field),
        allowed=allowed,
        description=field.description or "",
    )


_KINDS: dict[object, tuple[str, str]] = {
    bool: ("", "true or false"),
    int: ("N", "a whole number from {ge} to {le}"),
    float: ("SECONDS", "a number from {ge} to {le}"),
    str: ("TEXT", "at most {max_length} printable characters"),
    tuple[str, ...]: ("NAME,...", "names separated by commas"),
    tuple[Path, ...]: ("FILE,...", "paths separated by commas"),
}


# The metavar and what is allowed, from the type and its limits.
def _kind(field: FieldInfo) -> tuple[str, str]:
    limits = {k: v for m in field.metadata for k, v in _limit(m)}
    if "written" in limits:
        written = limits["written"]
        return getattr(written, "metavar", ""), str(written)
    if get_origin(field.annotation) is Literal:
        *most, last = get_args(field.annotation)
        return "|".join([*most, last]), f"{', '.join(most)} or {last}"
    metavar, allowed = _KINDS.get(field.annotation, ("PATH", "a path"))
    return metavar, allowed.format(**limits)


def _limit(metadata: object) -> Iterator[tuple[str, object]]:
    if isinstance(metadata, BeforeValidator) and isinstance(metadata.func, _WRITTEN):
        yield "written", metadata.func
    for key in ("ge", "le", "max_length"):
        if hasattr(metadata, key):
            yield key, getattr(metadata, key)


def _default_text(field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, bool):
        return str(default).lower()
    if default is None or default == ():
        return ""
    for written in (v for m in field.metadata for k, v in _limit(m) if k == "written"):
        if isinstance(written, _WRITTEN):
            return written.format(default)
    return str(default)


def load_settings(
    command_line: Mapping[str, object],
    *,
    etc_dir: Path = Path("/etc/tetragon-py"),
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read all sources and return the settings.

    Args:
        command_line: Field name -> value, of the options that were really given.
        etc_dir: The host's configuration directory; need not exist.
        environ: The environment; this process's by default.

    Raises:
        SettingsError: All mistakes, one per line.
    """
    outer = [
        *_environment(os.environ if environ is None else environ),
        *_command_line(command_line),
    ]
    files = map(_refuse_config_dir, read_directory(etc_dir))
    found = [*files, *_config_dir(outer), *outer]
    accepted: dict[str, Entry] = {}
    problems: list[SettingsError] = []
    for item in found:
        checked = item if isinstance(item, SettingsError) else _check(item)
        if isinstance(checked, SettingsError):
            problems.append(checked)
        elif checked.value == "":
            accepted.pop(checked.name, None)
        else:
            accepted[checked.name] = checked
    try:
        settings = Settings.model_validate({n: e.value for n, e in accepted.items()})
    except ValidationError as error:
        problems.append(_explain(error, accepted))
    else:
        if not problems:
            return settings
    lines = [str(problem) for problem in problems[:_SHOWN_PROBLEMS]]
    if len(problems) > len(lines):
        lines.append(f"and {len(problems) - len(lines)} more")
    together = SettingsError("\n".join(lines), key=problems[0].key)
    together.source = problems[0].source
    raise together


def _environment(environ: Mapping[str, str]) -> Iterator[Entry]:
    for variable in sorted(environ):
        if variable.startswith(VARIABLE_PREFIX):
            name = variable.removeprefix(VARIABLE_PREFIX)
            # Another case is another variable: it stays as it is and is unknown.
            name = name.lower() if name == name.upper() else variable
            yield Entry("environment", variable, name, environ[variable].strip())


def _command_line(given: Mapping[str, object]) -> Iterator[Entry]:
    for name, value in given.items():
        yield Entry("command line", "--" + name.replace("_", "-"), name, value)


# The last of the outer entries wins, also with an empty value.
def _config_dir(outer: Sequence[Entry]) -> Iterator[Entry | SettingsError]:
    entry = next((e for e in reversed(outer) if e.name == "config_dir"), None)
    if entry is None or entry.value == "":
        return
    directory = Path(str(entry.value))
    try:
        next(directory.iterdir(), None)
    except OSError as error:
        text = f"{entry.key}: {directory}: {error.strerror}"
        yield SettingsError(text, source=entry.source, key=entry.key)
        return
    yield from map(_refuse_config_dir, read_directory(directory))


# A file that names further files would make the order of precedence hard to see.
def _refuse_config_dir(item: Entry | SettingsError) -> Entry | SettingsError:
    if isinstance(item, SettingsError) or item.name != "config_dir":
        return item
    text = f"{item.key!r} is for the command line and the environment only"
    return SettingsError(text, source=item.source, key=item.key)


def _check(entry: Entry) -> Entry | SettingsError:
    if entry.name not in Settings.model_fields:
        return SettingsError(_unknown(entry), source=entry.source, key=entry.key)
    if entry.value == "":
        return entry
    try:
        Settings.model_validate({entry.name: entry.value})
    except ValidationError as error:
        # What concerns several fields has no location and is judged in the end.
        if not any(detail["loc"] for detail in error.errors()):
            return entry
        shown = repr(entry.value)
        if len(shown) > _SHOWN_CHARS:
            shown = shown[:_SHOWN_CHARS] + "..."
        allowed = _describe(entry.name, Settings.model_fields[entry.name]).allowed
        text = f"{entry.key}: {shown} is not allowed, only {allowed}"
        return SettingsError(text, source=entry.source, key=entry.key)
    return entry


# Hints are spelled as in the source where the key was found.
def _unknown(entry: Entry) -> str:
    name = entry.name.lower().removeprefix(VARIABLE_PREFIX.lower())
    spellings = {option.field: option for option in options()}
    near = difflib.get_close_matches(name, spellings, n=1)
    text = f"unknown key {entry.key[:_SHOWN_CHARS]!r}"
    if not near:
        return f"{text}, see tetragon-py run --help"
    option = spellings[near[0]]
    written = option.variable if entry.source == "environment" else option.name
    return f"{text}, did you mean {written!r}?"


def _explain(error: ValidationError, accepted: Mapping[str, Entry]) -> SettingsError:
    text = str(error.errors()[0].get("ctx", {}).get("error", error))
    words = {word.replace("-", "_") for word in re.findall(r"[a-z-]+", text)}
    named = [accepted[name] for name in Settings.model_fields if name in accepted]
    named = [entry for entry in named if entry.name in words]
    return SettingsError(
        text,
        source=", ".join(dict.fromkeys(entry.source for entry in named)),
        key=named[0].key if named else "",
    )
