# SPDX-License-Identifier: Apache-2.0
"""`tetragon-py version`: what runs here, for bug reports; needs no root.

Versions of the agent, Python, libbpf and the kernel go to standard output as text or
as one JSON object.
"""

from __future__ import annotations

import json
import os
import platform

import click

from tetragon_py import __version__

__all__ = ["version"]


@click.command("version")
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the answer.",
)
def version(output: str) -> None:
    """Show versions of the agent and what it runs on."""
    libbpf = _libbpf_version()
    if output == "json":
        answer = {
            "version": __version__,
            "python": platform.python_version(),
            "libbpf": libbpf,
            "kernel": os.uname().release,
        }
        click.echo(json.dumps(answer))
        return
    click.echo(f"tetragon-py: {__version__}")
    click.echo(f"python: {platform.python_version()}")
    click.echo(f"libbpf: {libbpf or 'not available'}")
    click.echo(f"kernel: {os.uname().release}")


# None in a tree whose extension is not built, or on a host without libbpf.
def _libbpf_version() -> str | None:
    try:
        from tetragon_py.libbpf import libbpf_version  # noqa: PLC0415 - may be missing
    except ImportError:
        return None
    return libbpf_version()
