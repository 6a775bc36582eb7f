# SPDX-License-Identifier: Apache-2.0
"""The command `tetragon-py`: arguments in, exit status out; one module per verb.

Importing this package costs little more than click: a verb's module, and with it
pydantic, YAML, logging and libbpf, is imported when the verb is called. It may import
everything of the project; nothing imports it.
"""

from tetragon_py.cli.root import main

__all__ = ["main"]
