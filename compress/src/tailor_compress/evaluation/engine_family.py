# SPDX-License-Identifier: Apache-2.0
"""Variants of several folders as one family, for the C++ programs."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tailor_compress.errors import TailorError
from tailor_compress.export.reference import PAIRS


def require_program(tailor: Path) -> None:
    """Raise TailorError unless the program is there."""
    if not tailor.is_file():
        raise TailorError(f"the program {tailor}", "none", "build it: `make build-tailor`")


def link_family(sources: Sequence[Path], pairs: Path, folder: Path) -> None:
    """Fill ``folder`` with hard links to the variants' files; the programs refuse symbolic ones.

    ``sources`` are the variants' folders, ``pairs`` the folder that may have the reference pairs.
    """
    for source in sources:
        target = folder / source.name
        target.mkdir(parents=True)
        for path in source.iterdir():
            if path.is_file():
                _link(path, target / path.name)
    if (pairs / PAIRS).is_file():
        _link(pairs / PAIRS, folder / PAIRS)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
