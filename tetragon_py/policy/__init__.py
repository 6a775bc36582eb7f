# SPDX-License-Identifier: Apache-2.0
"""YAML in, policies out: validated, frozen, and with the place of every mistake.

Imports errors, pydantic and yaml; knows nothing of kernels.
"""
