# SPDX-License-Identifier: Apache-2.0
"""From Debian's package descriptions to a ranking task whose splits share no text."""
