# SPDX-License-Identifier: Apache-2.0
"""Where the published policies are. They are not part of the project.

TETRAGON_CORPUS names their folder, else they lie beside the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["CORPUS"]

_BESIDE = Path(__file__).resolve().parents[3] / "shared/corpus/examples"
CORPUS = Path(os.environ.get("TETRAGON_CORPUS") or _BESIDE)
