# SPDX-License-Identifier: Apache-2.0
"""Training of the teacher and of the student, resumable and deterministic for a seed."""
