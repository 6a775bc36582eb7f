# SPDX-License-Identifier: Apache-2.0
"""What filters compare with: text in, typed values out."""
