# SPDX-License-Identifier: Apache-2.0
"""Values on the data path: what decode makes, enrich completes and encode reads.

Standard library only. Events are read-only by convention after enrich.
"""
