# SPDX-License-Identifier: Apache-2.0
"""The C contract in Python: constants and struct formats; no cffi at run time."""
