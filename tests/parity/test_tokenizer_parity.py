# SPDX-License-Identifier: Apache-2.0
"""server/text gives the ids of Hugging Face tokenizers: all of them, for every text."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import tokenizer_corpus as corpus
from tailor_compress.errors import TailorError
from tokenizer_reference import (
    MODES,
    NO_LIMIT,
    Mode,
    ServerTokenizer,
    assert_identical,
    build_reference,
    encode_reference,
    tokenize_lines_program,
)
from tokenizers import Tokenizer

Sides = tuple[ServerTokenizer, Tokenizer]

pytestmark = pytest.mark.skipif(
    not tokenize_lines_program().is_file(),
    reason=f"{tokenize_lines_program()} is not built (set TAILOR_TOKENIZE_LINES)",
)


@pytest.fixture(scope="module")
def descriptions() -> list[corpus.Description]:
    found = corpus.package_descriptions()
    if len(found) < corpus.MIN_DESCRIPTIONS:
        pytest.skip(f"{len(found)} package descriptions, expected {corpus.MIN_DESCRIPTIONS}")
    return found


@pytest.fixture(scope="module")
def make_sides(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Sequence[str], Mode], Sides]:
    def make(vocabulary: Sequence[str], mode: Mode) -> Sides:
        folder = tmp_path_factory.mktemp("tokenizer")
        return ServerTokenizer(vocabulary, mode, folder), build_reference(vocabulary, mode)

    return make


@pytest.fixture(scope="module", params=["public", "trained"])
def worded(
    request: pytest.FixtureRequest,
    descriptions: list[corpus.Description],
    make_sides: Callable[[Sequence[str], Mode], Sides],
) -> Sides:
    """The public lower-case vocabulary, or a cased one trained here."""
    if request.param == "trained":
        sample = [text for _, text in descriptions[: corpus.MIN_DESCRIPTIONS // 4]]
        return make_sides(corpus.trained_vocabulary(sample, 8000), Mode(False, False))
    try:
        vocabulary = corpus.public_vocabulary()
    except TailorError as error:
        pytest.skip(f"no public vocabulary: {error}")
    return make_sides(vocabulary, Mode(True, True))


@pytest.fixture(scope="module", params=MODES, ids=str)
def lettered(
    request: pytest.FixtureRequest,
    make_sides: Callable[[Sequence[str], Mode], Sides],
) -> Sides:
    """A vocabulary of all characters, so that the ids show every step of the normalization."""
    return make_sides(corpus.alphabet_vocabulary(), request.param)


def test_package_descriptions(worded: Sides, descriptions: list[corpus.Description]) -> None:
    texts = [text for _, text in descriptions]
    num_tokens = assert_identical(*worded, texts)
    print(f"{len(texts)} descriptions, {num_tokens} tokens")
    assert num_tokens > len(texts)


# Cutting is slow in the reference, hence fewer pairs where most are cut.
@pytest.mark.parametrize(("max_tokens", "count"), [(24, 2_000), (128, 20_000)])
def test_pairs_of_descriptions(
    worded: Sides, descriptions: list[corpus.Description], max_tokens: int, count: int
) -> None:
    assert_identical(*worded, descriptions[:count], max_tokens)


@pytest.mark.parametrize(
    "pattern", ["{}", "a{}b", "\u00c9{}\u0301", "\U0001d165{}\u302e {}\U0001d165"]
)
def test_every_code_point(lettered: Sides, pattern: str) -> None:
    chars = corpus.code_points()
    words = [pattern.replace("{}", char) for char in chars]
    lines = [" ".join(words[start : start + 64]) for start in range(0, len(words), 64)]
    assert_identical(*lettered, lines)


def test_nasty_texts(lettered: Sides) -> None:
    texts = corpus.nasty_texts()
    assert_identical(*lettered, texts)
    assert_identical(*lettered, [f"x{text}y {text}z" for text in texts])
    assert_identical(*lettered, [(text, text[::-1]) for text in texts])


def test_nasty_texts_in_words(worded: Sides) -> None:
    assert_identical(*worded, corpus.nasty_texts() + corpus.long_words())


def test_random_texts(lettered: Sides) -> None:
    assert_identical(*lettered, corpus.random_texts(20_000, seed=3))


def test_long_words(lettered: Sides) -> None:
    assert_identical(*lettered, corpus.long_words())


def test_truncation_of_every_pair_of_lengths(make_sides: Callable[..., Sides]) -> None:
    server, reference = make_sides([*"abcd", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], Mode())
    pairs = [(" ".join("a" * n), " ".join("b" * m)) for n in range(26) for m in range(26)]
    # Below 3 the reference does not truncate a pair at all.
    for max_tokens in range(3, 24):
        assert_identical(server, reference, pairs, max_tokens)
        assert_identical(server, reference, [first for first, _ in pairs[::26]], max_tokens)


def test_truncation_keeps_a_prefix_of_real_texts(lettered: Sides) -> None:
    """Stopping early must not change ids: limits fall into words, marks and special tokens."""
    server, reference = lettered
    texts = corpus.random_texts(300, seed=4)
    generator = random.Random(5)
    pairs = [(generator.choice(texts), generator.choice(texts)) for _ in range(300)]
    for max_tokens in (3, 4, 5, 8, 13, 30):
        assert_identical(server, reference, texts, max_tokens)
        assert_identical(server, reference, pairs, max_tokens)


def test_huge_words_take_linear_time(lettered: Sides) -> None:
    """64 KiB and 10 MB in one word, of letters and of marks that are put in order."""
    server, reference = lettered
    small = ["a" * (64 << 10) + " b", "\u302e\U0001d165" * (8 << 10) + " b"]
    assert server.encode(small) == encode_reference(reference, small)
    # Quadratic time would take hours, so that this would never end.
    huge = server.encode(["a" * (10 << 20) + " b", "\u302e\U0001d165" * (1 << 20) + " b"])
    assert [len(encoded.ids) for encoded in huge] == [4, 4]


def test_utf8_faults_are_found_where_python_finds_them(lettered: Sides) -> None:
    generator = random.Random(6)
    raws = [bytes(generator.choices(range(256), k=generator.randint(1, 12))) for _ in range(5000)]
    for text in corpus.random_texts(5000, seed=7):
        raw = bytearray(text.encode())
        raw[generator.randrange(len(raw))] ^= 1 << generator.randrange(8)
        raws.append(bytes(raw[: generator.randint(1, len(raw))]))
    answers = lettered[0].encode_requests([(raw, NO_LIMIT) for raw in raws])
    for raw, answer in zip(raws, answers, strict=True):
        try:
            raw.decode()
            expected = None
        except UnicodeDecodeError as error:
            expected = error.start
        assert (answer if isinstance(answer, int) else None) == expected, raw


def test_vocabulary_without_special_tokens_is_refused(tmp_path: Path) -> None:
    server = ServerTokenizer(["a", "b"], Mode(), tmp_path)
    with pytest.raises(AssertionError, match=r"\[UNK\]"):
        server.encode(["a"])
