# SPDX-License-Identifier: Apache-2.0
"""The only place where the parts meet: threads, signals and clocks are here."""
