# SPDX-License-Identifier: Apache-2.0
"""Lets tests import the scripts of tools/ and bench/service/, which are no packages."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in ("tools", "bench/service"):
    sys.path.insert(0, str(ROOT / folder))
