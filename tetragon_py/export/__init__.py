# SPDX-License-Identifier: Apache-2.0
"""Bytes -> outside. Sinks get finished lines and know no event."""
