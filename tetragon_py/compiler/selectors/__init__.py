# SPDX-License-Identifier: Apache-2.0
"""Selectors: filters and actions come in, conditions and ACTION_* bits go out."""
