# SPDX-License-Identifier: Apache-2.0
"""`python -m tetragon_py` is the command `tetragon-py`."""

from tetragon_py.cli import main

if __name__ == "__main__":
    main()
