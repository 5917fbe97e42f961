# SPDX-License-Identifier: Apache-2.0
"""Distillation: losses that compose, maps between layers, students, and whole flows."""
