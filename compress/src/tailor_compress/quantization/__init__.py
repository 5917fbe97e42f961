# SPDX-License-Identifier: Apache-2.0
"""Quantisation: products on 8-bit integers, with scales found after or during training."""
