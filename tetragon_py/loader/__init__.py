# SPDX-License-Identifier: Apache-2.0
"""What runs in the kernel: programs, maps and links, and their undoing.

May import libbpf and abi; is used by the daemon.
"""
