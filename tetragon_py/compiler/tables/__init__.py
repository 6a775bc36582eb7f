# SPDX-License-Identifier: Apache-2.0
"""Tables: what all selectors of a hook demand comes in, rows of vectors go out."""
