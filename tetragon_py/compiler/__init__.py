# SPDX-License-Identifier: Apache-2.0
"""Policies become tables: a policy set and a `Target` come in, a `Plan` goes out.

Pure: no I/O, no kernel, the same input gives the same plan. May import policy and the
constants of abi.
"""
