# SPDX-License-Identifier: Apache-2.0
"""Tokenizer and pair layout against Hugging Face's own."""

from pathlib import Path

import pytest
from made_up import words, write_checkpoint
from transformers import AutoTokenizer

from tailor_compress.errors import TailorError
from tailor_compress.model.trim import kept_tokens
from tailor_compress.text import (
    CLS,
    SEP,
    UNK,
    PairLayout,
    encode_texts,
    make_tokenizer,
    read_vocabulary,
    save_tokenizer,
    truncated,
)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return read_vocabulary(write_checkpoint(tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, vocabulary: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(vocabulary, folder, max_len=48)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    return folder


def test_transformers_reads_the_same_tokenizer(vocabulary: list[str], saved: Path) -> None:
    theirs = AutoTokenizer.from_pretrained(saved)
    ours = make_tokenizer(vocabulary)
    for text in (" ".join(words(40)), "BÁCO dÏfu!", "ba\tco\x00di 漢字", "x" * 120, "[SEP] ba"):
        assert (
            theirs(text, add_special_tokens=False).input_ids
            == ours.encode(text, add_special_tokens=False).ids
        )
    assert theirs.model_max_length == 48


def test_accents_and_case_fall(vocabulary: list[str]) -> None:
    tokenizer = make_tokenizer([*vocabulary, "cafe"])
    assert encode_texts(tokenizer, ["CAFÉ"]) == encode_texts(tokenizer, ["cafe"])


@pytest.mark.parametrize("max_len", [16, 17])
def test_truncation_is_longest_first_as_in_hugging_face(saved: Path, max_len: int) -> None:
    theirs = AutoTokenizer.from_pretrained(saved).backend_tokenizer
    theirs.enable_truncation(max_len, strategy="longest_first")
    token = words(1)[0]
    for query in range(18):
        for document in range(18):
            encoding = theirs.encode(" ".join([token] * query), " ".join([token] * document))
            counts = [encoding.type_ids.count(0) - 2, encoding.type_ids.count(1) - 1]
            assert truncated(query, document, max_len) == tuple(counts), (query, document)


def test_pair_layout(vocabulary: list[str]) -> None:
    layout = PairLayout(vocabulary, max_len=9)
    cls, sep = vocabulary.index(CLS), vocabulary.index(SEP)
    assert layout.join([7, 8], [9]) == ([cls, 7, 8, sep, 9, sep], 4)
    assert layout.join([], []) == ([cls, sep, sep], 2)
    ids, first = layout.join([7] * 2, [9] * 50)
    assert (len(ids), first) == (9, 4)


def test_trimming_keeps_what_the_texts_use(vocabulary: list[str]) -> None:
    used, rare = words(3)[:2], words(3)[2]
    kept = kept_tokens(vocabulary, [" ".join(used * 2 + [rare])], min_count=2)
    assert set(used) <= set(kept)
    assert rare not in kept
    assert "unseen" not in kept
    assert kept == sorted(kept, key=vocabulary.index)
    pieces = make_tokenizer(kept).encode(rare, add_special_tokens=False).tokens
    assert UNK not in pieces
    assert "".join(piece.removeprefix("##") for piece in pieces) == rare


def test_a_vocabulary_without_special_tokens_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(TailorError, match=r"\[PAD\], \[UNK\].* missing"):
        read_vocabulary(tmp_path)
    with pytest.raises(TailorError, match="expected a file"):
        read_vocabulary(tmp_path / "nowhere")
