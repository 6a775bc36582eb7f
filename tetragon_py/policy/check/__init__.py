# SPDX-License-Identifier: Apache-2.0
"""Rules that concern more than one field: a model in, findings by path out."""
