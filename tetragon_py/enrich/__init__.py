# SPDX-License-Identifier: Apache-2.0
"""Adds to events what the kernel side did not send.

In come events and plain numbers, out go the same events with process, parent, systemd
unit, container and user name. It reads /proc and /etc/passwd, imports events and errors
only, and is told what time it is.
"""
