# SPDX-License-Identifier: Apache-2.0
"""The root command: finds the verb, and turns every failure into one line.

Arguments come in; the verb's exit status goes out, or 2 for a usage or configuration
error, 1 for what the kernel or the agent cannot do, 130 for an interrupt. Nobody sees
a traceback without asking for `--log-level debug`.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tetragon_py import __version__
from tetragon_py.errors import TetragonError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

__all__ = ["DEBUG", "PROGRAM", "Root", "main"]

PROGRAM = "tetragon-py"

#: Key in `click.Context.meta`; a verb sets it to have tracebacks shown.
DEBUG = "tetragon_py.debug"

# Short helps stand here so that --help imports no verb.
_VERBS = {
    "run": "Observe this host and write events.",
    "status": "Show how the running agent does.",
    "policy": "Check and compile policies; a library of ready ones.",
    "probe": "Show what this kernel offers.",
    "install-service": "Put the systemd service and its configuration in place.",
    "uninstall-service": "Stop and remove the systemd service.",
    "version": "Show versions of the agent and what it runs on.",
    "completion": "Print the shell's completion script.",
}

_INTERRUPTED = 130


class _InternalError(TetragonError):
    """A verb failed in a way that nobody foresaw."""


class Root(click.Group):
    """A group whose verbs are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the help."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module; its command has the same name, but for dashes."""
        if cmd_name not in _VERBS:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"tetragon_py.cli.{name}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the list of verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        """Complete options and verbs without importing the verbs."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only here

        verbs = [
            CompletionItem(verb, help=text)
            for verb, text in _VERBS.items()
            if verb.startswith(incomplete)
        ]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or name the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            # Click knows the near options by itself, but not our verbs.
            near = difflib.get_close_matches(args[0], _VERBS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"{error.message}{hint}", ctx) from error

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the verb; what nobody foresaw leaves as a TetragonError too."""
        try:
            return super().invoke(ctx)
        except (
            TetragonError,
            click.ClickException,
            click.Abort,
            click.exceptions.Exit,
        ):
            raise
        except BrokenPipeError:
            # The reader of standard output has gone: click ends quietly with 1.
            raise
        except Exception as error:
            if ctx.meta.get(DEBUG):
                traceback.print_exc()
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise _InternalError(
                f"internal error: {what}; run with --log-level debug for details"
            ) from error

    def main(  # type: ignore[override]  # of click's overloads only one makes sense here
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        **extra: Any,  # noqa: ANN401 - handed through to click
    ) -> NoReturn:
        """Run the command line `args`, by default this process's, and exit."""
        extra["standalone_mode"] = False
        try:
            status = super().main(args, PROGRAM, **extra)
        except click.Abort:
            sys.exit(_INTERRUPTED)
        except TetragonError as error:
            _print_error(str(error))
            sys.exit(error.exit_status)
        except click.ClickException as error:
            _print_error(_one_line(error))
            sys.exit(error.exit_code)
        sys.exit(status if isinstance(status, int) else 0)


# A usage error says where the help is; its own text is already one line.
def _one_line(error: click.ClickException) -> str:
    text = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        text += f" Try '{error.ctx.command_path} --help'."
    return text


def _print_error(text: str) -> None:
    colored = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    line = f"{PROGRAM}: {text}"
    click.echo(
        click.style(line, fg="red") if colored else line, err=True, color=colored
    )


@click.command(
    cls=Root,
    name=PROGRAM,
    invoke_without_command=True,
    context_settings={"max_content_width": 100},
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Security observability for Linux hosts with eBPF."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)
