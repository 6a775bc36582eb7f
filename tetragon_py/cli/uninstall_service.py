# SPDX-License-Identifier: Apache-2.0
"""`tetragon-py uninstall-service`: stops the service and removes what was installed."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tetragon_py.cli.service_files import ServiceFiles, systemd
from tetragon_py.errors import TetragonError
from tetragon_py.service.unit import UNIT

__all__ = ["uninstall_service"]

# \b keeps click from filling the lines of a paragraph.
_EPILOG = """
\b
Examples:
  The service; configuration, policies and exported events stay:
    sudo tetragon-py uninstall-service
  Those too:
    sudo tetragon-py uninstall-service --purge
  From the file tree of an image:
    tetragon-py uninstall-service --prefix build/root

\b
Exit status: 0 removed, or there was nothing, 1 something could not be removed, 2 the
unit was changed (nothing is done then).
"""


@click.command("uninstall-service", epilog=_EPILOG)
@click.option(
    "--prefix",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Where install-service had put it.",
)
@click.option(
    "--purge", is_flag=True, help="Remove configuration, policies and events too."
)
@click.option("--force", is_flag=True, help="Remove a unit that was changed.")
def uninstall_service(prefix: Path | None, *, purge: bool, force: bool) -> None:
    """Stop and remove the systemd service."""
    if prefix is None and os.geteuid() != 0:
        raise TetragonError("uninstall-service needs root: start it with sudo")
    manager = None if prefix else systemd()
    files = ServiceFiles(prefix.absolute() if prefix else Path("/"))
    if not force:
        files.check_unchanged()
    if manager and files.unit.exists():
        manager.run("disable", *(["--now"] if manager.is_running else []), UNIT)
        click.echo(f"stopped  {UNIT}")
    for line in files.remove(is_purge=purge):
        click.echo(line)
    if manager and manager.is_running:
        manager.run("daemon-reload")
