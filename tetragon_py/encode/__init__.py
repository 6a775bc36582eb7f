# SPDX-License-Identifier: Apache-2.0
"""Events in, bytes out: JSON lines and compact lines. No input or output here."""
