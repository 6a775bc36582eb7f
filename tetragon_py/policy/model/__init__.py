# SPDX-License-Identifier: Apache-2.0
"""The schema: frozen models, one module per part, with canonical spellings."""
