# SPDX-License-Identifier: Apache-2.0
"""The floor of the ladder: a linear score of features of the two token sequences."""
