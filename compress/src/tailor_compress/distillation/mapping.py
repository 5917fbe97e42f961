# SPDX-License-Identifier: Apache-2.0
"""Maps between layers: from which of the teacher's layers each of the student's learns."""

from typing import Literal

from tailor_compress.errors import TailorError

Mapping = Literal["uniform", "top", "bottom", "skip", "last", "final"]
# Counted from 1, as states are: (student's layer, teacher's layer).
Matched = list[tuple[int, int]]


def matched_layers(mapping: Mapping, student: int, teacher: int) -> Matched:
    """Return pairs of layers of a student and a teacher with these numbers of layers.

    - `uniform`, `top`, `bottom` (Jiao et al., 2020, TinyBERT): all M layers of the student, with
      the teacher's layers m N / M (rounded up), m + N - M, m.
    - `skip`, `last` (Sun et al., 2019, PKD): the same as `uniform` (rounded down) and `top`
      without the last layers, whose outputs the loss on the scores compares already.
    - `final`: the last layers only (Wang et al., 2021, MiniLMv2).

    Raises TailorError for a student that is deeper than its teacher, and when no pair is left.
    """
    if not 1 <= student <= teacher:
        raise TailorError(
            f"a student of 1 to {teacher} layers, as many as its teacher has",
            str(student),
            "make it shallower, or use losses that compare scores only",
        )
    layers = range(1, student + 1)
    if mapping == "uniform":
        return [(m, -(-m * teacher // student)) for m in layers]
    if mapping == "top":
        return [(m, m + teacher - student) for m in layers]
    if mapping == "bottom":
        return [(m, m) for m in layers]
    if mapping == "final":
        return [(student, teacher)]
    if student == 1:
        raise TailorError(
            f"a student of 2 layers or more for the layer map `{mapping}`", "1", "use `uniform`"
        )
    if mapping == "skip":
        return [(m, m * teacher // student) for m in layers[:-1]]
    return [(m, m + teacher - student) for m in layers[:-1]]
