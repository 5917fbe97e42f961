# SPDX-License-Identifier: Apache-2.0
"""A server on core 0 with one engine thread, and the family that the simulator can stand for."""

from __future__ import annotations

import shutil
from pathlib import Path

from measurement import ON_CORE_0, RESULTS
from server_process import ServerProcess

CALIBRATION = "calibration.json"  # without it a family has no cascades


def without_cascades(family: Path, folder: Path) -> Path:
    """A copy of the family without its calibration; a family may have no links to its outside."""
    copy = folder / family.name
    shutil.copytree(family, copy, ignore=shutil.ignore_patterns(CALIBRATION))
    return copy


def pinned_server(tailor: Path, family: Path, policy: str, log: str) -> ServerProcess:
    """Reviews of answers in idle time are off: the simulator has none."""
    options = ["--threads", "1", "--live-quality-share", "0", "--policy", policy]
    return ServerProcess(tailor, family, options=options, prefix=ON_CORE_0, log=RESULTS / log)
