# SPDX-License-Identifier: Apache-2.0
"""The encoder: where its weights come from and how its forward pass is computed here."""
