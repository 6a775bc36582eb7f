# SPDX-License-Identifier: Apache-2.0
"""Records in, events out: stateless, and no policy needed, as records describe themselves."""
