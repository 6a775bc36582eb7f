# SPDX-License-Identifier: Apache-2.0
"""The systemd service: its files, made for one host. Nothing here is written or run."""
