# SPDX-License-Identifier: Apache-2.0
"""What an ordinary Debian machine does makes no policy of the library fire."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import SLOWNESS
from tests.vm.expected import guest_kernel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.library.conftest import Library

pytestmark = pytest.mark.kernel(feature="lsm", since="5.7")

#: What a package brings, and what its script does.
_PACKAGE_FILES = (
    *("etc/cron.d/quiet", "etc/sudoers.d/quiet", "etc/pam.d/quiet"),
    *("etc/profile.d/quiet.sh", "usr/lib/systemd/system/quiet.service"),
)
_CONTROL = """\
Package: tetragon-py-quiet
Version: 1
Architecture: all
Maintainer: nobody <nobody@localhost>
Description: nothing
"""
_SCRIPT = """\
#!/bin/sh
set -e
case $1 in
configure)
    echo x >>/etc/ssh/sshd_config.quiet
    ln -s quiet.service /etc/systemd/system/quiet-alias.service
    cp /bin/true /usr/lib/quiet-helper
    chmod 4755 /usr/lib/quiet-helper
    ;;
remove)
    rm -f /etc/ssh/sshd_config.quiet /etc/systemd/system/quiet-alias.service
    rm -f /usr/lib/quiet-helper
    ;;
esac
"""
_HARMLESS = {
    "su": "su -s /bin/sh nobody -c true",
    "names": "getent passwd root && id && ls -l /etc/shadow /etc/ssh /proc/self/fd",
}
_CHANGES = {
    "users": "useradd -m quiet && usermod -c x quiet && chage -l quiet"
    " && passwd -S quiet && su quiet -c true && userdel -r quiet",
    "mount": "mount -t tmpfs quiet /mnt && umount /mnt",
    "package": "dpkg-deb --build {0}/package {0}/quiet.deb && dpkg -i {0}/quiet.deb"
    " && dpkg -P tetragon-py-quiet",
}
#: Outside of guests nothing of the machine is changed.
_ORDINARY = _HARMLESS | _CHANGES if guest_kernel() else {"su": _HARMLESS["su"]}


def _make_package(folder: Path) -> None:
    package = folder / "package"
    for name in _PACKAGE_FILES:
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# nothing\n")
    control = package / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(_CONTROL)
    for name in ("postinst", "postrm"):
        (control / name).write_text(_SCRIPT)
        (control / name).chmod(0o755)


@pytest.mark.parametrize("name", _ORDINARY)
def test_ordinary(library: Library, name: str, tmp_path: Path) -> None:
    """No policy tells anything while this is done."""
    _make_package(tmp_path)
    since = len(library.agent.settle())
    command = ["/bin/sh", "-c", _ORDINARY[name].format(tmp_path)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=30 * SLOWNESS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [
        (body["policy_name"], body["process"]["binary"], body.get("args"))
        for event in library.agent.settle()[since:]
        for body in event.values()
        if isinstance(body, dict) and "policy_name" in body
    ]

    assert told == []
