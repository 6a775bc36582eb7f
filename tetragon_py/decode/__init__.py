# SPDX-License-Identifier: Apache-2.0
"""Records in, events out: stateless, for records describe themselves."""
