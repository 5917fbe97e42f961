# SPDX-License-Identifier: Apache-2.0
"""Elastic variants: one set of weights of which every smaller width and depth is a model too.

After DynaBERT (Hou et al., 2020): rewire (sort heads and neurons by importance), train widths with
the rewired parent as teacher, then widths and depths with the result as teacher.
"""
