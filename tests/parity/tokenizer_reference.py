# SPDX-License-Identifier: Apache-2.0
"""Both sides of the tokenizer parity tests: Hugging Face tokenizers, and server/text.

server/text is driven through the program tokenize_lines, whose path comes from
TAILOR_TOKENIZE_LINES or is that of the release build.
"""

import os
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

ROOT = Path(__file__).resolve().parents[2]
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
NO_LIMIT = 1 << 30
ILL_FORMED = 0xFFFFFFFF

Texts = str | tuple[str, str]


@dataclass(frozen=True)
class Mode:
    """The options of a tokenizer."""

    lower_case: bool = True
    strip_accents: bool = True

    def __str__(self) -> str:
        """Name of a parametrized test."""
        lower = "lower" if self.lower_case else "cased"
        return f"{lower}-{'stripped' if self.strip_accents else 'accented'}"


MODES = [Mode(lower, strip) for lower in (True, False) for strip in (True, False)]


@dataclass(frozen=True)
class Encoded:
    """One encoded sequence."""

    ids: tuple[int, ...]
    types: tuple[int, ...]
    truncated: bool


def tokenize_lines_program() -> Path:
    named = os.environ.get("TAILOR_TOKENIZE_LINES")
    return Path(named) if named else ROOT / "build/release/tests/parity/tokenize_lines"


def build_reference(vocabulary: Sequence[str], mode: Mode) -> Tokenizer:
    """What BertTokenizerFast builds from a vocabulary and these options."""
    ids = {token: index for index, token in enumerate(vocabulary)}
    model = WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100)  # noqa: S106
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = BertNormalizer(
        clean_text=True,
        handle_chinese_chars=True,
        strip_accents=mode.strip_accents,
        lowercase=mode.lower_case,
    )
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def encode_reference(
    tokenizer: Tokenizer, texts: Sequence[Texts], max_tokens: int = NO_LIMIT
) -> list[Encoded]:
    tokenizer.no_padding()
    if max_tokens == NO_LIMIT:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_tokens, strategy="longest_first")
    return [
        Encoded(tuple(found.ids), tuple(found.type_ids), bool(found.overflowing))
        for found in tokenizer.encode_batch(list(texts))
    ]


class ServerTokenizer:
    """server/text with one vocabulary and one set of options."""

    def __init__(self, vocabulary: Sequence[str], mode: Mode, folder: Path) -> None:
        path = folder / "vocab.txt"
        path.write_bytes(b"".join(token.encode() + b"\n" for token in vocabulary))
        self._command = [
            str(tokenize_lines_program()),
            str(path),
            str(int(mode.lower_case)),
            str(int(mode.strip_accents)),
        ]

    def encode(self, texts: Sequence[Texts], max_tokens: int = NO_LIMIT) -> list[Encoded]:
        """Encode texts and pairs; the same limit for all."""
        answers = self.encode_requests([(text, max_tokens) for text in texts])
        return [answer for answer in answers if isinstance(answer, Encoded)]

    def encode_requests(self, requests: Sequence[tuple[Texts | bytes, int]]) -> list[Encoded | int]:
        """Encode each with its own limit; for text that is not UTF-8, the position of the fault."""
        sent = bytearray()
        for texts, max_tokens in requests:
            parts = texts if isinstance(texts, tuple) else (texts,)
            sent += struct.pack("<II", max_tokens, len(parts))
            for part in parts:
                raw = part if isinstance(part, bytes) else part.encode()
                sent += struct.pack("<I", len(raw)) + raw
        done = subprocess.run(self._command, input=bytes(sent), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        answers = list(_parse(done.stdout))
        assert len(answers) == len(requests)
        return answers


def _parse(answer: bytes) -> list[Encoded | int]:
    found: list[Encoded | int] = []
    position = 0
    while position < len(answer):
        (count,) = struct.unpack_from("<I", answer, position)
        position += 4
        if count == ILL_FORMED:
            found.append(struct.unpack_from("<I", answer, position)[0])
            position += 4
            continue
        truncated = answer[position] == 1
        position += 1
        ids = struct.unpack_from(f"<{count}i", answer, position)
        position += 4 * count
        found.append(Encoded(ids, tuple(answer[position : position + count]), truncated))
        position += count
    return found


def assert_identical(
    server: ServerTokenizer,
    reference: Tokenizer,
    texts: Sequence[Texts],
    max_tokens: int = NO_LIMIT,
) -> int:
    """Compare ids, types and truncation of every text; returns the number of tokens."""
    ours = server.encode(texts, max_tokens)
    theirs = encode_reference(reference, texts, max_tokens)
    assert len(ours) == len(theirs)
    wrong = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
    shown = [f"{texts[i]!a}\n  server    {ours[i]}\n  reference {theirs[i]}" for i in wrong[:5]]
    assert not wrong, f"{len(wrong)} of {len(texts)} texts differ:\n" + "\n".join(shown)
    return sum(len(encoded.ids) for encoded in ours)
