# SPDX-License-Identifier: Apache-2.0
"""`tetragon-py completion`: the name of a shell in, its completion script out.

The script is click's: it asks tetragon-py itself for the words, so it never goes stale.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from tetragon_py.cli.root import PROGRAM

__all__ = ["completion"]

# The name that click looks for by itself.
_VARIABLE = "_TETRAGON_PY_COMPLETE"

_EPILOG = """
\b
Examples:
  source <(tetragon-py completion bash)
  tetragon-py completion zsh > "${fpath[1]}/_tetragon-py"
  tetragon-py completion fish > ~/.config/fish/completions/tetragon-py.fish
"""


@click.command("completion", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the shell's completion script."""
    complete = get_completion_class(shell)
    if complete is None:
        raise click.UsageError(f"no completion for {shell}", ctx)
    click.echo(complete(ctx.find_root().command, {}, PROGRAM, _VARIABLE).source())
