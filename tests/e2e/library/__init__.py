# SPDX-License-Identifier: Apache-2.0
"""The library of policies, each as users get it: a package of its own for its agent."""
