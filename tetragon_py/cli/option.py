# SPDX-License-Identifier: Apache-2.0
"""Click options made from the settings: the model in, one option per field out.

No option is written twice: name, help, default, variable and choices come from
`tetragon_py.settings.options`. Values stay as they were typed; load_settings judges
them together with those of all other sources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from tetragon_py.settings import Option, options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["given_settings", "setting_options"]


def setting_options() -> list[click.Parameter]:
    """Return the options of all fields of Settings."""
    return [_click_option(option) for option in options()]


def given_settings(ctx: click.Context) -> dict[str, object]:
    """Return field -> value of those options that are on the command line.

    The values of one that was given several times are joined, as in a file.
    """
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in ctx.params.items()
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


def _click_option(option: Option) -> click.Option:
    extra = f"env: {option.variable}"
    if option.default:
        extra += f"; default: {option.default}"
    text = f"{option.description}  [{extra}]"
    flag = f"--{option.name}"
    if not option.metavar:
        return click.Option(
            [f"{flag}/--no-{option.name}", option.field], default=None, help=text
        )
    if option.metavar == "FILE,...":
        return click.Option(
            [flag, option.field],
            type=click.Path(),
            multiple=True,
            metavar="FILE",
            help=text,
        )
    # Not click.Choice: it would refuse a value before the other sources are read.
    if option.metavar == "PATH":
        return click.Option(
            [flag, option.field], type=click.Path(), metavar="PATH", help=text
        )
    return click.Option(
        [flag, option.field],
        metavar=f"[{option.metavar}]" if option.choices else option.metavar,
        help=text,
        shell_complete=_complete(option.choices) if option.choices else None,
    )


def _complete(
    choices: Sequence[str],
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete
