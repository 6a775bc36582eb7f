# SPDX-License-Identifier: Apache-2.0
"""How what policies deny becomes hooks that can deny it."""
