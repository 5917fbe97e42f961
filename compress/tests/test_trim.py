# SPDX-License-Identifier: Apache-2.0
"""Vocabulary trimming: what stays, what it costs, and what is refused."""

from pathlib import Path

import pytest
from test_own_data import manifest, run, write_lines, write_model

from tailor_compress.model.trim import kept_tokens
from tailor_compress.text import SPECIAL_TOKENS, read_vocabulary


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trim")
    write_model(root / "model")
    write_lines(root / "lines.jsonl", labelled=False)
    return root


def test_texts_that_it_covers_score_the_same(place: Path) -> None:
    out = place / "trimmed"
    data = ("--model", place / "model", "--data", place / "lines.jsonl", "--out", out)
    result = run("trim", *data, "--min-count", "1")
    assert result.exit_code == 0, result.output
    (row,) = [line for line in result.output.splitlines() if line.startswith("| ") and "%" in line]
    before, after, _, unknown, change = [cell.strip() for cell in row.strip("|").split("|")]
    assert int(after) < int(before)
    assert unknown == "0.000 %"
    assert float(change) == 0
    record = manifest(out)
    assert record["tokenizer"]["vocab_size"] == int(after) == len(read_vocabulary(out))
    assert record["parents"] == [{"id": "model", "role": "base"}]
    # A model like any other for the next command.
    data = ("--model", out, "--data", place / "lines.jsonl", "--out", place / "smaller")
    assert run("trim", *data, "--min-count", "3", "--rounds", "1").exit_code == 0
    assert manifest(place / "smaller")["tokenizer"]["vocab_size"] < int(after)


def test_the_second_count_is_with_what_is_left() -> None:
    # "abc" is rare and goes. "abcde" is then cut into "ab" and "##cde", no longer into "abc" and
    # "##de", and what else needs "##de" is rare too.
    letters = [*"abcdex", *(f"##{c}" for c in "abcdex")]
    tokens = [*SPECIAL_TOKENS, "abc", "ab", "##de", "##cde", *letters]
    texts = ["abcde", "xde", "xcde xcde", "ab ab"]
    once, twice = (set(kept_tokens(tokens, texts, 2, rounds)) for rounds in (1, 2))
    assert set(tokens) - once == {"abc"}
    assert once - twice == {"##de"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--min-count", "0"), "expected --min-count and --rounds of 1 or more; got 0 and 2"),
        (("--rounds", "0"), "got 5 and 0"),
    ],
)
def test_senseless_counts_are_refused(place: Path, flags: tuple[str, ...], message: str) -> None:
    data = ("--model", place / "model", "--data", place / "lines.jsonl", "--out", place / "no")
    result = run("trim", *data, *flags)
    assert result.exit_code == 1
    assert message in result.output
    assert not (place / "no").exists()


def test_the_model_is_not_written_over(place: Path) -> None:
    data = ("--model", place / "model", "--data", place / "lines.jsonl", "--out", place / "model")
    result = run("trim", *data)
    assert result.exit_code == 1
    assert "correct --out" in result.output


def test_half_of_the_flags_is_a_usage_error(place: Path) -> None:
    result = run("trim", "--model", place / "model")
    assert result.exit_code == 2
    assert "--model, --data and --out together" in result.output
