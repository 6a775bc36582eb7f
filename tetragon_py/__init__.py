# SPDX-License-Identifier: Apache-2.0
"""Security observability for Linux hosts with eBPF.

Nouns carry policy down into the kernel, verbs carry events up; each folder is one
arrow of the picture in README.md.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
