# SPDX-License-Identifier: Apache-2.0
"""A user's own data: JSON lines of a query, its documents and, perhaps, their labels."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailor_compress.errors import TailorError
from tailor_compress.settings import nearest

# The server refuses longer documents unless it is told otherwise (max-document-bytes).
MAX_TEXT_BYTES = 64 * 1024
_KEYS = ("query", "documents", "labels")
# A tenth is held out: for importance, calibration and the quality that is stated.
_HELD_OUT = 10


@dataclass(frozen=True)
class Line:
    """One query with its documents; ``labels`` are grades, or classes of a classifier."""

    number: int
    query: str
    documents: tuple[str, ...]
    labels: tuple[float, ...] | None


def _refuse(path: Path, number: int, expected: str, got: str) -> TailorError:
    return TailorError(f"{expected} in line {number} of {path}", got, "correct the line")


def _text(value: Any, what: str, path: Path, number: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _refuse(path, number, f"a text as {what}", repr(value)[:60])
    size = len(value.encode())
    if size > MAX_TEXT_BYTES:
        expected = f"at most {MAX_TEXT_BYTES} bytes as {what}"
        raise _refuse(path, number, expected, f"{size} bytes")
    return value


def _line(text: str, path: Path, number: int) -> Line:
    try:
        record = json.loads(text)
    except ValueError as error:
        got = "an empty line" if not text.strip() else str(error)
        raise _refuse(path, number, "a JSON object", got) from error
    if not isinstance(record, dict):
        raise _refuse(path, number, "a JSON object", repr(record)[:60])
    for key in record:
        if key not in _KEYS:
            raise _refuse(
                path, number, f"the keys {', '.join(_KEYS)}", f"`{key}`; {nearest(key, _KEYS)}"
            )
    query = _text(record.get("query"), "`query`", path, number)
    documents = record.get("documents")
    if not isinstance(documents, list) or not documents:
        raise _refuse(path, number, "a list of documents", repr(documents)[:60])
    texts = tuple(_text(one, "a document", path, number) for one in documents)
    labels = record.get("labels")
    if labels is None:
        return Line(number, query, texts, None)
    if not isinstance(labels, list) or not all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in labels
    ):
        raise _refuse(path, number, "a list of numbers as `labels`", repr(labels)[:60])
    if len(labels) != len(texts):
        expected = f"as many labels as documents ({len(texts)})"
        raise _refuse(path, number, expected, str(len(labels)))
    return Line(number, query, texts, tuple(float(one) for one in labels))


@dataclass(frozen=True)
class UserData:
    """The lines of a file, those for training apart from those held out."""

    id: str
    train: list[Line]
    held_out: list[Line]

    @property
    def is_labelled(self) -> bool:
        """Whether every line has labels."""
        return all(line.labels is not None for line in [*self.train, *self.held_out])


def read_user_data(path: Path, classes: int = 1) -> UserData:
    """Read a JSONL file. Raises TailorError with the number of the line that is wrong.

    With ``classes`` of 2 or more the labels are those of a classifier, 0 to classes - 1.
    """
    try:
        content = path.read_bytes()
        texts = content.decode("utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TailorError(f"UTF-8 JSON lines in {path}", str(error), "correct --data") from error
    lines = [_line(text, path, number) for number, text in enumerate(texts, 1)]
    for line in lines:
        for label in line.labels or ():
            if classes > 1 and label not in range(classes):
                expected = f"labels of the model's {classes} classes"
                raise _refuse(path, line.number, expected, f"{label:g}")
    labelled = [line for line in lines if line.labels is not None]
    if labelled and len(labelled) < len(lines):
        bare = next(line.number for line in lines if line.labels is None)
        raise _refuse(path, bare, "labels as in other lines", "none")
    held_out = [line for line in lines if _held_out(line)] or lines[-1:]
    kept = {line.number for line in held_out}
    train = [line for line in lines if line.number not in kept]
    if not train:
        raise TailorError(f"two lines or more in {path}", str(len(lines)), "add queries")
    return UserData(hashlib.sha256(content).hexdigest()[:12], train, held_out)


def _held_out(line: Line) -> bool:
    """Whether a query is held out: by its text, so that all of its lines are."""
    return hashlib.sha256(line.query.encode()).digest()[0] % _HELD_OUT == 0
