# SPDX-License-Identifier: Apache-2.0
"""The texts of the service's files: what is different on each host is filled in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tetragon_py.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["UNIT", "configuration_text", "network_text", "unit_text"]

UNIT = "tetragon-py.service"
_FOLDER = Path(__file__).parent
#: Since this version systemd itself sends the signal and waits for the answer.
_NOTIFY_RELOAD = 253
#: What ProtectHome= and PrivateTmp= of the unit hide.
_HOMES = ("/home", "/root", "/run/user")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - nothing is written there


def unit_text(python: Path, parts: Iterable[Path], systemd: int) -> str:
    """The unit that runs the agent with `python`.

    Args:
        python: Absolute path of an interpreter that has this package.
        parts: Further paths that the agent is made of.
        systemd: Its major version; 0: not known.

    Raises:
        SettingsError: The service could not see one of the paths, or systemd could not
            read one.
    """
    needed = [python, *parts]
    for path in needed:
        if _is_below(path, _TEMPORARY):
            raise SettingsError(
                f"the service does not see {path}, in a folder for temporary files: "
                "install the package elsewhere, for example in /opt/tetragon-py"
            )
        if not str(path).isprintable() or set(str(path)) & set("\"'\\"):
            raise SettingsError(f"{str(path)!r}: systemd does not take such a path")
    text = (_FOLDER / UNIT).read_text()
    is_hidden = any(_is_below(path, _HOMES) for path in needed)
    text = text.replace("@PROTECT_HOME@", "read-only" if is_hidden else "yes")
    if systemd >= _NOTIFY_RELOAD:
        text = text.replace("\nType=notify\n", "\nType=notify-reload\n")
        text = text.replace("\nExecReload=/bin/kill -HUP $MAINPID\n", "\n")
    return text.replace("@PYTHON@", _quoted(python))


def network_text() -> str:
    """The drop-in for a service that uses the network."""
    return (_FOLDER / "network.conf").read_text()


def configuration_text() -> str:
    """The first configuration file."""
    return (_FOLDER / "tetragon-py.yaml").read_text()


def _is_below(path: Path, folders: Iterable[str]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


# % begins a specifier, $ a variable, a space the next word.
def _quoted(path: Path) -> str:
    text = str(path).replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if " " in text else text
