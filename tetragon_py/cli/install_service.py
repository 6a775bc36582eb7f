# SPDX-License-Identifier: Apache-2.0
"""`tetragon-py install-service`: the installed package in, a systemd service out.

The unit runs the interpreter that runs this command. A second call changes nothing; one
of a newer release brings the unit up to date.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import click

import tetragon_py
from tetragon_py.cli.service_files import ServiceFiles, Systemd, systemd
from tetragon_py.errors import TetragonError
from tetragon_py.service.unit import UNIT, unit_text

__all__ = ["install_service"]

# \b keeps click from filling the lines of a paragraph.
_EPILOG = """
\b
Examples:
  On this host, started now and at each boot:
    sudo tetragon-py install-service
    sudo systemctl daemon-reload
    sudo systemctl enable --now tetragon-py
  With a drop-in that allows the use of the network:
    sudo tetragon-py install-service --network
  Into the file tree of an image or a package:
    tetragon-py install-service --prefix build/root

\b
What is put in place:
  /etc/systemd/system/tetragon-py.service   change it by `systemctl edit tetragon-py`
  /etc/tetragon-py/tetragon-py.yaml         the configuration
  /etc/tetragon-py/conf.d                   the same, a file for each option
  /etc/tetragon-py/tetragon.tp.d            policies
  /var/log/tetragon-py                      exported events
What somebody has changed is kept.
"""
#: What the service imports: it has to be there without this shell's environment.
_IMPORT = ("-I", "-c", "import tetragon_py.daemon.app")


@click.command("install-service", epilog=_EPILOG)
@click.option(
    "--prefix",
    type=click.Path(file_okay=False, path_type=Path),
    help="Put everything below this directory, as if it were /.",
)
@click.option("--network", is_flag=True, help="Let the service use the network.")
@click.option("--force", is_flag=True, help="Replace a unit that was changed.")
def install_service(prefix: Path | None, *, network: bool, force: bool) -> None:
    """Put the systemd service and its configuration in place."""
    manager = None if prefix else _manager()
    python = _python()
    parts = [Path(sys.base_prefix).resolve(), Path(tetragon_py.__file__).parent]
    if prefix:
        prefix = prefix.absolute()
        python, *parts = [_inside(path, prefix) for path in (python, *parts)]
    else:
        _check_import(python)
    unit = unit_text(python, parts, manager.version if manager else 0)
    files = ServiceFiles(prefix or Path("/"))
    for line in files.install(unit, has_network=network, is_forced=force):
        click.echo(line)
    if prefix:
        return
    for path in (python, *parts):
        if place := _writable_by_others(path):
            click.echo(f"warning: others than root can write {place}", err=True)
    click.echo("next:")
    if manager and manager.is_running:
        click.echo("  systemctl daemon-reload")
    click.echo(f"  systemctl enable --now {UNIT.removesuffix('.service')}")


def _manager() -> Systemd:
    if os.geteuid() != 0:
        raise TetragonError(
            "install-service needs root: start it with sudo, or give --prefix DIR"
        )
    found = systemd()
    if found is None:
        raise TetragonError(
            "this host has no systemd; --prefix DIR writes the files for another one"
        )
    return found


# Its folder is resolved, itself not: the link in a virtual environment tells Python
# which one it is.
def _python() -> Path:
    path = Path(sys.executable)
    return path.parent.resolve() / path.name


# Of a path in the tree below `prefix`: as it is called when that is the root.
def _inside(path: Path, prefix: Path) -> Path:
    prefix = prefix.resolve()
    return Path("/") / path.relative_to(prefix) if path.is_relative_to(prefix) else path


def _check_import(python: Path) -> None:
    # It also leaves the byte code, which the service itself may not write.
    done = subprocess.run(  # noqa: S603 - this interpreter
        [str(python), *_IMPORT], capture_output=True, text=True, check=False, cwd="/"
    )
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise TetragonError(
            f"{python} cannot run the agent: {reason}; install the package for it"
        )


def _writable_by_others(path: Path) -> Path | None:
    """The first folder of the path that others than root own or may write."""
    for place in (path, *path.parents):
        found = place.stat()
        is_sticky = found.st_mode & stat.S_ISVTX
        is_open = found.st_mode & stat.S_IWOTH or (
            found.st_mode & stat.S_IWGRP and found.st_gid
        )
        if found.st_uid or (is_open and not is_sticky):
            return place
    return None
