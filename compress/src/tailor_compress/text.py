# SPDX-License-Identifier: Apache-2.0
"""Tokens: the family's WordPiece tokenizer and the pair layout that the server uses too."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from tailor_compress.errors import TailorError

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNK, CLS, SEP, MASK)
VOCABULARY = "vocab.txt"
# [CLS] query [SEP] document [SEP]
_PAIR_SPECIALS = 3

Ids = list[int]


@dataclass(frozen=True)
class Casing:
    """What the tokenizer does to letters before it looks words up."""

    lower_case: bool = True
    strip_accents: bool = True


UNCASED = Casing()


def read_vocabulary(folder: Path) -> list[str]:
    """Return the tokens of vocab.txt in id order. Raises TailorError when it is not usable."""
    path = folder / VOCABULARY
    if not path.is_file():
        raise TailorError(f"a file {path}", "none", "name a folder with a BERT vocabulary")
    tokens = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    missing = [token for token in SPECIAL_TOKENS if token not in tokens]
    if missing or len(set(tokens)) != len(tokens):
        raise TailorError(
            f"distinct tokens with {', '.join(SPECIAL_TOKENS)} in {path}",
            f"{', '.join(missing)} missing" if missing else "a token twice",
            "use the vocabulary of an uncased BERT",
        )
    return tokens


def make_tokenizer(tokens: Sequence[str], casing: Casing = UNCASED) -> Tokenizer:
    """Return BERT's WordPiece tokenizer over ``tokens`` (id = position)."""
    ids = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token=UNK, max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=True,
        strip_accents=casing.strip_accents,
        lowercase=casing.lower_case,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, ids[CLS]), (SEP, ids[SEP])],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def read_casing(folder: Path) -> Casing:
    """Return the casing of a model folder; BERT's uncased one where it says nothing.

    Accents are stripped when the folder says so, else when letters are lowered, as in BERT.
    """
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    lower = bool(config.get("do_lower_case", True))
    strip = config.get("strip_accents")
    return Casing(lower, lower if strip is None else bool(strip))


def save_tokenizer(
    tokens: Sequence[str], folder: Path, max_len: int, casing: Casing = UNCASED
) -> None:
    """Write vocab.txt and what transformers needs besides to make the same tokenizer of it."""
    (folder / VOCABULARY).write_text("\n".join(tokens) + "\n", encoding="utf-8")
    named = {"pad": PAD, "unk": UNK, "cls": CLS, "sep": SEP, "mask": MASK}
    special = {f"{name}_token": token for name, token in named.items()}
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": casing.lower_case,
        "strip_accents": casing.strip_accents,
        "tokenize_chinese_chars": True,
        "model_max_length": max_len,
        **special,
    }
    for name, content in (("tokenizer_config.json", config), ("special_tokens_map.json", special)):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Ids]:
    """Return the ids of each text without special tokens."""
    return [e.ids for e in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def truncated(query: int, document: int, max_len: int) -> tuple[int, int]:
    """Return the lengths after longest_first: the longer part loses tokens until the pair fits.

    When both lose, they share the room; an odd token goes to the part that was longer, to the
    document when they were equal, as in Hugging Face.
    """
    room = max_len - _PAIR_SPECIALS
    if query + document <= room:
        return query, document
    short = min(query, document, room // 2)
    return (room - short, short) if query > document else (short, room - short)


class PairLayout:
    """Builds [CLS] query [SEP] document [SEP] with segment ids 0 and 1."""

    def __init__(self, tokens: Sequence[str], max_len: int) -> None:
        self.tokens = tokens
        self._cls, self._sep = tokens.index(CLS), tokens.index(SEP)
        self.max_len = max_len

    def join(self, query: Ids, document: Ids) -> tuple[Ids, int]:
        """Return the ids of the pair and how many of them are of segment 0."""
        q, d = truncated(len(query), len(document), self.max_len)
        ids = [self._cls, *query[:q], self._sep, *document[:d], self._sep]
        return ids, q + 2
