# SPDX-License-Identifier: Apache-2.0
"""All files of the corpus, in an order in which neighbours share hooks."""

from __future__ import annotations

from tests.corpus.tables.files import FILES
from tests.corpus.tables.kernel import KERNEL, LATER
from tests.corpus.tables.network import NETWORK
from tests.corpus.tables.processes import PROCESSES

__all__ = ["EXAMPLES"]

EXAMPLES = [*PROCESSES, *FILES, *KERNEL, *NETWORK, *LATER]
