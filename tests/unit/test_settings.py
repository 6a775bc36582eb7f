# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.settings: sources to one model, or all mistakes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from tetragon_py.errors import SettingsError
from tetragon_py.settings import Settings, load_settings, options


@pytest.fixture
def load(tmp_path):
    """Load with an own configuration directory and an own environment."""

    def load_here(command_line=None, **environ):
        return load_settings(
            command_line or {}, etc_dir=tmp_path / "etc", environ=environ
        )

    (tmp_path / "etc" / "conf.d").mkdir(parents=True)
    (tmp_path / "more" / "conf.d").mkdir(parents=True)
    return load_here


def message(load, *args, **environ):
    with pytest.raises(SettingsError) as caught:
        load(*args, **environ)
    assert caught.value.exit_status == 2
    return str(caught.value)


def test_defaults(load):
    """Without any source every field has its default."""
    settings = load()

    assert settings == Settings()
    assert settings.model_fields_set == set()
    assert (settings.output, settings.lifecycle_ring_size) == ("json", 16777216)
    assert (settings.arguments_max_size, settings.procfs) == (196608, Path("/proc"))


def test_process_environment_is_the_default(load, monkeypatch, tmp_path):
    """Without an explicit environment this process's is read."""
    monkeypatch.setenv("TETRAGON_PY_LOG_LEVEL", "debug")

    assert load_settings({}, etc_dir=tmp_path).log_level == "debug"


def test_precedence(load, tmp_path):
    """Each source overrides those before it, and only in what it names."""
    etc, more = tmp_path / "etc", tmp_path / "more"
    seen = []
    command_line = {"config_dir": str(more)}
    environ: dict[str, str] = {}

    def look():
        seen.append(load(command_line, **environ).node_name)

    look()
    (etc / "10.yaml").write_text("node-name: first\nlog_level: debug")
    look()
    (etc / "20.yaml").write_text("node_name: second")
    look()
    (etc / "conf.d" / "node-name").write_text("third\n")
    look()
    (more / "10.yaml").write_text("node-name: fourth")
    look()
    (more / "conf.d" / "node_name").write_text("fifth")
    look()
    environ["TETRAGON_PY_NODE_NAME"] = "sixth"
    look()
    command_line["node_name"] = "seventh"
    look()

    assert seen == [
        "",
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
    ]
    assert load(command_line).log_level == "debug"


def test_config_dir_from_environment(load, tmp_path):
    """The directory may come from the environment; the command line can clear it."""
    (tmp_path / "more" / "a.yaml").write_text("log-level: error")
    variable = {"TETRAGON_PY_CONFIG_DIR": str(tmp_path / "more")}

    assert load(**variable).log_level == "error"
    assert load({"config_dir": ""}, **variable).log_level == "info"


def test_config_dir_must_exist(load, tmp_path):
    """A named directory that is not there is an error, unlike the default one."""
    (tmp_path / "file").write_text("")

    for name, reason in [
        ("none", "No such file or directory"),
        ("file", "Not a directory"),
    ]:
        told = message(load, {"config_dir": str(tmp_path / name)})
        assert told == f"command line: --config-dir: {tmp_path}/{name}: {reason}"


def test_config_dir_not_in_files(load, tmp_path):
    """A file cannot name further files."""
    (tmp_path / "etc" / "a.yaml").write_text("config-dir: /tmp")

    assert message(load) == (
        f"{tmp_path}/etc/a.yaml:1:1: 'config-dir' is for the command line and the "
        "environment only"
    )


@pytest.mark.parametrize("where", ["drop-in", "yaml", "environment", "command line"])
def test_empty_value_clears(load, tmp_path, where):
    """An empty value of any source goes back to the default."""
    (tmp_path / "etc" / "10.yaml").write_text("export-filename: /x\noutput: compact\n")
    command_line, environ = {}, {}
    if where == "drop-in":
        (tmp_path / "etc" / "conf.d" / "export-filename").write_text("\n")
    elif where == "yaml":
        (tmp_path / "etc" / "20.yaml").write_text("export-filename:\n")
    elif where == "environment":
        environ["TETRAGON_PY_EXPORT_FILENAME"] = ""
    else:
        command_line["export_filename"] = ""

    settings = load(command_line, **environ)

    assert (settings.export_filename, settings.output) == (None, "compact")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4096", 4096), ("64K", 65536), ("16M", 16777216), ("16m", 16777216)],
)
def test_ring_sizes(load, text, expected):
    """Sizes are numbers of bytes or of K, M, G."""
    assert load({"policy_ring_size": text}).policy_ring_size == expected


@pytest.mark.parametrize(
    "text", ["5000", "2048", "2G", "16MB", "-4096", "4096.0", "1e6", "K", "9" * 12]
)
def test_wrong_ring_sizes(load, text):
    """A size that the kernel would refuse is refused with what is allowed."""
    assert message(load, {"policy_ring_size": text}) == (
        f"command line: --policy-ring-size: {text!r} is not allowed, only a power of "
        "two from 4K to 1G, such as 8192, 64K or 1G"
    )


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("arguments_max_size", "4096", 4096),
        ("arguments_max_size", "5000", 5000),
        ("arguments_max_size", "192K", 196608),
        ("environment_max_size", "128K", 131072),
        ("process_table_entries", "1024", 1024),
        ("process_table_entries", "4194304", 4194304),
        ("loss_interval", "0.05", 0.05),
        ("export_filename", "-", Path("-")),
        ("export_file_max_size_mb", "0", 0),
        ("export_file_rotation_interval", "24h", 86400.0),
        ("export_file_max_backups", "0", 0),
        ("export_file_max_total_mb", "1000", 1000),
        ("export_file_perm", "0640", 0o640),
        ("export_file_group", "adm", "adm"),
        ("loss_interval", "60", 60.0),
        ("timestamps", "yes", True),
        ("timestamps", "off", False),
        ("filter_environment_variables", "PATH, HOME", ("PATH", "HOME")),
        ("export_filename", "/var/log/x.jsonl", Path("/var/log/x.jsonl")),
        ("tracing_policy", "a.yaml", (Path("a.yaml"),)),
        ("tracing_policy", "a.yaml, /b/c", (Path("a.yaml"), Path("/b/c"))),
        ("tracing_policy_dir", "/etc/tp.d", Path("/etc/tp.d")),
    ],
)
def test_values(load, name, text, expected):
    """Text becomes the type of the field; the limits themselves are allowed."""
    assert getattr(load({name: text}), name) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("arguments_max_size", "5001"),
        ("arguments_max_size", "200K"),
        ("environment_max_size", "192K"),
        ("process_table_entries", "1023"),
        ("process_table_entries", "many"),
        ("loss_interval", "0.01"),
        ("export_file_max_size_mb", "-1"),
        ("export_file_max_size_mb", "10M"),
        ("export_file_rotation_interval", "1d"),
        ("export_file_max_backups", "-1"),
        ("export_file_perm", "666"),
        ("export_file_group", "a\nb"),
        ("loss_interval", "nan"),
        ("loss_interval", "61"),
        ("timestamps", "maybe"),
        ("output", "xml"),
        ("node_name", "a\nb"),
        ("node_name", "x" * 254),
        ("export_filename", "a\0b"),
        ("filter_environment_variables", "A,,B"),
        ("filter_environment_variables", "A=1"),
        ("log_level", ["info"]),
        ("tracing_policy", "a.yaml,,b.yaml"),
        ("tracing_policy", "a.yaml\0"),
        ("tracing_policy", [1]),
        ("tracing_policy", {"a": "b"}),
        ("tracing_policy_dir", "a\0b"),
    ],
)
def test_wrong_values(load, name, value):
    """Each wrong value is told in one line that says what is allowed."""
    told = message(load, {name: value})

    allowed = {option.field: option.allowed for option in options()}[name]
    assert told.startswith(f"command line: --{name.replace('_', '-')}: ")
    assert told.endswith(f" is not allowed, only {allowed}")
    assert "\n" not in told


def test_long_value_is_cut(load):
    """A pasted file does not fill the screen."""
    assert len(message(load, {"output": "x" * 100000})) < 200


def test_rings_together(load, tmp_path):
    """All ring buffers together have a limit; the message says who set them."""
    (tmp_path / "etc" / "a.yaml").write_text("policy-ring-size: 1G")

    assert message(load, TETRAGON_PY_VERDICT_RING_SIZE="512M") == (
        f"environment, {tmp_path}/etc/a.yaml:1:1: lifecycle-ring-size, "
        "verdict-ring-size, policy-ring-size are 1552M together, at most 1G is allowed"
    )


def test_standard_output_twice(load):
    """A minus is standard output, which has one form only."""
    told = message(load, {"export_filename": "-"}, TETRAGON_PY_OUTPUT="compact")

    assert told == (
        "environment, command line: export-filename - means JSON lines on standard "
        "output, output compact would be there too"
    )
    assert load({"export_filename": "-"}).export_file is None
    assert load({"export_filename": "/x"}).export_file == Path("/x")


def test_total_that_is_too_small(load, tmp_path):
    """All files together cannot be smaller than one; 0 is no limit."""
    (tmp_path / "etc" / "a.yaml").write_text("export-file-max-total-mb: 99")

    assert message(load) == (
        f"{tmp_path}/etc/a.yaml:1:1: export-file-max-total-mb is less than "
        "export-file-max-size-mb: not even one file has room"
    )
    assert load({"export_file_max_total_mb": "0"}).export_file_max_size_mb == 100


def test_mode_in_yaml(load, tmp_path):
    """The number is octal as everywhere; shown so as a default too."""
    (tmp_path / "etc" / "a.yaml").write_text("export-file-perm: 640")
    shown = {option.field: option for option in options()}

    assert load().export_file_perm == 0o640
    assert shown["export_file_perm"].default == "600"
    assert shown["export_file_perm"].metavar == "MODE"
    assert shown["export_file_rotation_interval"].default == "0s"


def test_list_in_yaml(load, tmp_path):
    """A YAML list and comma separated text are the same."""
    (tmp_path / "etc" / "a.yaml").write_text("filter-environment-variables: [A, B]")
    variable = {"TETRAGON_PY_FILTER_ENVIRONMENT_VARIABLES": "A,B"}

    assert load() == load(**variable)
    (tmp_path / "etc" / "b.yaml").write_text("tracing-policy:\n- a.yaml\n- b.yaml")
    variable["TETRAGON_PY_TRACING_POLICY"] = "a.yaml,b.yaml"
    assert load() == load(**variable)
    assert load().tracing_policy == (Path("a.yaml"), Path("b.yaml"))


def test_policies_of_an_outer_source_replace_the_others(load, tmp_path):
    """As with every other field; an empty text goes back to none."""
    (tmp_path / "etc" / "conf.d" / "tracing-policy").write_text("a.yaml\n")

    assert load({"tracing_policy": "b.yaml"}).tracing_policy == (Path("b.yaml"),)
    assert load({"tracing_policy": ""}).tracing_policy == ()


def test_all_mistakes_together(load, tmp_path):
    """Mistakes of all sources come at once, one per line, with place and hint."""
    etc = tmp_path / "etc"
    (etc / "a.yaml").write_text("log-levl: debug\noutput: xml\n")
    (etc / "b.yaml").write_text("}")
    (etc / "conf.d" / "loss_intervall").write_text("1")
    (etc / "conf.d" / "timestamps").write_text("maybe")
    environ = {"TETRAGON_PY_COLOUR": "never", "TETRAGON_PY_ZZZ": "1", "OTHER": "x"}

    lines = message(load, {"log_level": "loud"}, **environ).split("\n")

    assert [*lines[:2], *lines[3:]] == [
        f"{etc}/a.yaml:1:1: unknown key 'log-levl', did you mean 'log-level'?",
        f"{etc}/a.yaml:2:1: output: 'xml' is not allowed, only json or compact",
        (
            f"{etc}/conf.d/loss_intervall: unknown key 'loss_intervall', did you mean "
            "'loss-interval'?"
        ),
        (
            f"{etc}/conf.d/timestamps: timestamps: 'maybe' is not allowed, "
            "only true or false"
        ),
        (
            "environment: unknown key 'TETRAGON_PY_COLOUR', did you mean "
            "'TETRAGON_PY_COLOR'?"
        ),
        "environment: unknown key 'TETRAGON_PY_ZZZ', see tetragon-py run --help",
        (
            "command line: --log-level: 'loud' is not allowed, "
            "only debug, info, warning or error"
        ),
    ]
    assert lines[2].startswith(f"{etc}/b.yaml:1:")


def test_very_many_mistakes(load, tmp_path):
    """A file that was not meant for us does not fill the screen."""
    text = "".join(f"k{number}: 1\n" for number in range(73))
    (tmp_path / "etc" / "a.yaml").write_text(text)
    lines = message(load).split("\n")

    assert (len(lines), lines[-1]) == (51, "and 23 more")


def test_variables_are_upper_case(load):
    """A variable in lower case is another one, and told as unknown."""
    assert message(load, TETRAGON_PY_log_level="debug") == (
        "environment: unknown key 'TETRAGON_PY_log_level', did you mean "
        "'TETRAGON_PY_LOG_LEVEL'?"
    )


def test_error_carries_first_place(load, tmp_path):
    """Source and key of the error are those of the first mistake."""
    (tmp_path / "etc" / "a.yaml").write_text("outputt: json\n")

    with pytest.raises(SettingsError) as caught:
        load({"log_level": "loud"})

    assert caught.value.source == f"{tmp_path}/etc/a.yaml:1:1"
    assert caught.value.key == "outputt"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"output": "json"}, True),
        ({"export_filename": "/x"}, False),
        ({"export_filename": "/x", "output": "json"}, True),
        ({"export_filename": "/x", "output": ""}, False),
        ({"export_filename": "-"}, True),
        ({"export_filename": "-", "output": "json"}, True),
    ],
)
def test_stdout(load, given, expected):
    """With an export file standard output gets events only if it was asked for."""
    assert load(given).stdout == expected


def test_effective_node_name(load, monkeypatch):
    """The name is the configured one, else NODE_NAME, else the host's."""
    monkeypatch.delenv("NODE_NAME", raising=False)
    host = load().effective_node_name
    monkeypatch.setenv("NODE_NAME", "from-variable")
    variable = load().effective_node_name
    configured = load({"node_name": "mine"}).effective_node_name

    assert (host, variable, configured) == (
        os.uname().nodename,
        "from-variable",
        "mine",
    )


def test_frozen_and_closed():
    """Settings never change and have no fields that nobody knows."""
    with pytest.raises(ValidationError):
        setattr(Settings(), "output", "compact")  # noqa: B010 - mypy refuses it too
    with pytest.raises(ValidationError):
        Settings.model_validate({"outptu": "json"})


def test_model_alone_reads_no_environment(monkeypatch):
    """Only load_settings reads sources."""
    monkeypatch.setenv("OUTPUT", "compact")
    monkeypatch.setenv("TETRAGON_PY_OUTPUT", "compact")

    assert Settings().output == "json"


def test_every_field_is_described():
    """Help and documentation can be made from the model alone."""
    described = {option.field: option for option in options()}

    assert list(described) == list(Settings.model_fields)
    assert all(o.description.endswith(".") for o in described.values())
    assert all(o.allowed and "{" not in o.allowed for o in described.values())
    ring = described["policy_ring_size"]
    assert (ring.name, ring.variable, ring.metavar, ring.default) == (
        "policy-ring-size",
        "TETRAGON_PY_POLICY_RING_SIZE",
        "SIZE",
        "32M",
    )


def test_defaults_are_allowed(load):
    """Every default is a value that could also be written."""
    given = {o.field: o.default for o in options() if o.default}

    assert load(given).model_dump() == Settings().model_dump()


def test_no_yaml_without_yaml_files():
    """A start without YAML files does not pay for the parser."""
    code = (
        "import sys; from pathlib import Path;"
        "from tetragon_py.settings import load_settings;"
        "load_settings({}, etc_dir=Path('/nonexistent'), environ={});"
        "print('yaml' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"
