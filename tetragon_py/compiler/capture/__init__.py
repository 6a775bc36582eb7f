# SPDX-License-Identifier: Apache-2.0
"""Capture: arguments of policies come in, where the kernel finds them goes out."""
