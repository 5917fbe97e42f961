# SPDX-License-Identifier: Apache-2.0
"""Vocabulary trimming of a user's own model: what its texts need stays, the scores do too."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tailor_compress.data.user_data import UserData, read_user_data
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.metrics import Floats
from tailor_compress.evaluation.scorer import score_pairs
from tailor_compress.export.bundle import Family, Variant, write_bundle
from tailor_compress.export.files import replacing
from tailor_compress.export.trained import Trained, step
from tailor_compress.export.variant import MANIFEST
from tailor_compress.ladder.open_model import Opened, open_model
from tailor_compress.model.forward import plain
from tailor_compress.model.trim import coverage, keep_rows, kept_tokens
from tailor_compress.tables import table
from tailor_compress.text import PairLayout, encode_texts, make_tokenizer


@dataclass(frozen=True)
class TrimJob:
    """A model, the texts that it is to serve, and where the smaller one goes."""

    model: Path
    data: Path
    out: Path
    min_count: int = 5
    rounds: int = 2


def _texts(data: UserData) -> list[str]:
    lines = [*data.train, *data.held_out]
    return [text for line in lines for text in (line.query, *line.documents)]


def _scores(opened: Opened, tokens: list[str], data: UserData, stage: str) -> Floats:
    """Return the raw scores of the held-out pairs, one after the other."""
    layout, tokenizer = PairLayout(tokens, opened.max_len), make_tokenizer(tokens, opened.casing)
    pairs = [
        layout.join(query, document)
        for line in data.held_out
        for query in encode_texts(tokenizer, [line.query])
        for document in encode_texts(tokenizer, list(line.documents))
    ]
    found = score_pairs(opened.model, pairs, plain, stage)
    return found.astype(np.float64)


def _check(job: TrimJob, opened: Opened) -> None:
    if job.min_count < 1 or job.rounds < 1:
        given = f"{job.min_count} and {job.rounds}"
        raise TailorError("--min-count and --rounds of 1 or more", given, "correct them")
    if opened.model.config.vocab_size != len(opened.tokens):
        raise TailorError(
            f"a row of word vectors for each of the {len(opened.tokens)} tokens",
            f"{opened.model.config.vocab_size} rows",
            "trim the model in its own folder",
        )
    if job.out.exists() and not (job.out / MANIFEST).is_file():
        raise TailorError(
            f"no folder at {job.out}, or one with a {MANIFEST}", "another one", "correct --out"
        )


def trim_own(job: TrimJob) -> str:
    """Write the trimmed variant; return a table of what that changed.

    A text whose tokens have all stayed scores as before; the table says how far the held-out
    pairs have moved.
    """
    opened = open_model(job.model)
    _check(job, opened)
    data = read_user_data(job.data, int(opened.model.config.num_labels or 1))
    began, texts, old = time.monotonic(), _texts(data), list(opened.tokens)
    before = _scores(opened, old, data, "scores before")
    kept = kept_tokens(old, texts, job.min_count, job.rounds, opened.casing)
    keep_rows(opened.model, old, kept)
    after = _scores(opened, kept, data, "scores after")
    found = coverage(len(old), kept, texts, opened.casing)
    params = {"min_count": job.min_count, "rounds": job.rounds, **asdict(found)}
    done = step("trim_vocabulary", params, 0, data.id, time.monotonic() - began)
    name = job.out.resolve().parent.name.lower() or "family"
    family = Family(name, "", "unknown", kept, opened.max_len, opened.casing)
    record = Trained([done], [{"id": opened.id, "role": "base"}])
    variant = Variant(job.out.name, record, opened.model, {}, {}, score_index=opened.score_index)
    with replacing(job.out) as folder:
        write_bundle(family, variant, folder)
    return table(
        ["tokens before", "tokens", "pieces a word", "unknown", "largest change of a score"],
        [
            [
                str(found.before),
                str(found.after),
                f"{found.pieces_per_word:.2f}",
                f"{100 * found.unknown_share:.3f} %",
                f"{np.abs(before - after).max():.2g}",
            ]
        ],
    )
