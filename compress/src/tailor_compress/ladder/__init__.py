# SPDX-License-Identifier: Apache-2.0
"""Runs a recipe: stages in order, each made once, resumed after a kill, skipped when up to date."""
