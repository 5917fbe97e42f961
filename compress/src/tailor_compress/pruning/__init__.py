# SPDX-License-Identifier: Apache-2.0
"""Pruning: heads, inner neurons and single weights that a model can do without."""
