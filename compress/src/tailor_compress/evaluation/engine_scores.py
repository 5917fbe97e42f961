# SPDX-License-Identifier: Apache-2.0
"""Scores of an exported variant by the C++ engine: what a server would answer, and much faster."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailor_compress.errors import TailorError
from tailor_compress.evaluation.engine_family import link_family, require_program
from tailor_compress.export.variant import read_manifest
from tailor_compress.progress import Progress

# A query and its documents, as texts.
TextList = tuple[str, list[str]]


@dataclass(frozen=True)
class EngineScorer:
    """Runs ``tailor score``; ``place`` is an empty folder for its input, the caller's to delete."""

    tailor: Path
    place: Path

    def scores(
        self, variant: Path, owner: Path, lists: Iterable[TextList], count: int, stage: str
    ) -> NDArray[np.float64]:
        """Return the raw scores of ``count`` lists of equal size, [count, documents].

        ``variant`` is the variant's folder, ``owner`` the one that has its weights (the same
        one, unless it is derived). Raises TailorError with what the program said when it fails.
        """
        require_program(self.tailor)
        family, texts, log = self.place / "family", self.place / "lists", self.place / "log"
        link_family(sorted({variant, owner}), owner.parent, family)
        with texts.open("w", encoding="utf-8") as out:
            for query, documents in lists:
                out.write(json.dumps({"query": query, "documents": documents}) + "\n")
        id_ = read_manifest(variant)["id"]
        command = [str(self.tailor), "score", "--family", str(family), "--variant", id_]
        command += ["--lists", str(texts)]
        rows: list[list[float]] = []
        with (
            log.open("wb") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process,  # noqa: S603
            Progress(stage, count, unit="list") as progress,
        ):
            for line in process.stdout or ():
                rows.append(json.loads(line)["scores"])
                progress.advance(1)
        if process.returncode != 0 or len(rows) != count:
            said = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise TailorError(
                f"scores of {count} lists by {id_}",
                " ".join(said)[:300] or f"{len(rows)}, exit code {process.returncode}",
                "measure on a host that runs this variant, or without --tailor",
            )
        return np.array(rows, dtype=np.float64)
