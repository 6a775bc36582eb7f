# SPDX-License-Identifier: Apache-2.0
"""What a trigger tells of what it did."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["Told"]

#: Names -> numbers, texts; what its events have to show.
Told: TypeAlias = dict[str, Any]
