# SPDX-License-Identifier: Apache-2.0
"""The folders that the server reads: weights, tokenizer, configuration, variant.json."""
