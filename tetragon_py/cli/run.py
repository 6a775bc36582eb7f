# SPDX-License-Identifier: Apache-2.0
"""`tetragon-py run`: the command line in, a running agent until it is told to stop.

Mistakes of usage and configuration are found before the question whether this is
root, so that a configuration can be tried out by anybody.
"""

from __future__ import annotations

import os
import sys

import click

from tetragon_py.cli.option import given_settings, setting_options
from tetragon_py.cli.root import DEBUG
from tetragon_py.errors import TetragonError
from tetragon_py.settings import load_settings

__all__ = ["run"]

# \b keeps click from filling the lines of a paragraph.
_EPILOG = """
\b
Examples:
  All process events as JSON lines:
    sudo tetragon-py run
  For reading along:
    sudo tetragon-py run --output compact --timestamps
  As a service, into a file, with credentials:
    sudo tetragon-py run --export-filename /var/log/tetragon-py/events.jsonl \\
      --enable-process-cred

\b
Every option can also stand in a file (log-level: debug in /etc/tetragon-py/NAME.yaml,
or the text debug in /etc/tetragon-py/conf.d/log-level) or in its variable.
Precedence: defaults, files, --config-dir, environment, command line; an empty value
goes back to the default.
"""


@click.command("run", params=setting_options(), epilog=_EPILOG)
@click.pass_context
def run(ctx: click.Context, /, **_settings: object) -> None:
    """Observe this host and write events."""
    given = given_settings(ctx)
    ctx.meta[DEBUG] = given.get("log_level") == "debug"
    settings = load_settings(given)
    ctx.meta[DEBUG] = settings.log_level == "debug"
    if os.geteuid() != 0:
        raise TetragonError("run needs root: start it with sudo")
    # After the checks: a wrong start does not load the agent.
    from tetragon_py.daemon.app import run_agent  # noqa: PLC0415 - see above

    status = run_agent(
        settings,
        stdout_events=settings.stdout,
        reread=lambda: load_settings(given),
    )
    sys.exit(status)
