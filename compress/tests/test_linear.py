# SPDX-License-Identifier: Apache-2.0
"""The linear floor: its loss, its fit, and the variant that it leaves."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.evaluation.read_back import read_back
from tailor_compress.export.bundle import Family, Variant, write_bundle
from tailor_compress.export.trained import Trained
from tailor_compress.linear.method import LinearFloor
from tailor_compress.linear.scorer import from_tensors, is_linear, load_scorer
from tailor_compress.linear.train import Fit, list_loss
from tailor_compress.method import Lists, Made
from tailor_compress.model.forward import Apply, plain
from tailor_compress.text import SPECIAL_TOKENS
from tailor_compress.training.corpus import CandidateList
from tailor_compress.training.losses import listwise, listwise_distillation

_VOCAB, _SIZE = 60, 4


class _Synonyms:
    """Lists whose right document never repeats the query: token t is answered by t + 25."""

    id, size = "synonyms", _SIZE

    def __len__(self) -> int:
        return 400

    def drawn(self, number: int) -> CandidateList:
        rng = np.random.default_rng([3, number])
        query = rng.choice(25, 3, replace=False) + 5
        others = [rng.integers(30, 55, 5).tolist() for _ in range(_SIZE - 1)]
        right = [*(query + 25).tolist(), *rng.integers(30, 55, 2).tolist()]
        documents = [right, *others]
        head = [2, *query.tolist(), 3]
        return CandidateList([([*head, *one, 3], len(head)) for one in documents])


@dataclass
class _Context:
    """Parents, lists and teacher scores that prefer the right document."""

    id: str = "linear"
    seed: int = 11
    lists: Lists = field(default_factory=_Synonyms)
    checkpoint: Path = Path("unused")
    data_id: str = "made-up"
    tokens: Sequence[str] = (*SPECIAL_TOKENS, *(f"word{i}" for i in range(5, _VOCAB)))

    def parent(self, role: str = "base") -> BertForSequenceClassification:
        raise AssertionError(f"scores are enough, nobody needs the model of {role}")

    def scores(self, role: str, lists: Lists, count: int) -> NDArray[np.float32]:
        assert role == "teacher"
        found = np.zeros((count, lists.size), dtype=np.float32)
        found[:, 0] = 6.0
        return found

    def dev_lists(self, count: int) -> Sequence[CandidateList]:
        return [self.lists.drawn(1000 + n) for n in range(count)]

    def dev_quality(self, model: BertForSequenceClassification, apply: Apply = plain) -> float:
        raise AssertionError(f"there is no model to ask, got {type(model)} and {apply}")


_METHOD = LinearFloor(lists=800, scored=600, bits=12, l2=1e-5, iterations=30)


@pytest.fixture(scope="module")
def made() -> Made:
    return _METHOD.make(_Context())


def _right(made: Made) -> float:
    scorer = from_tensors(made.manifest["arch"], made.tensors)
    pairs = [pair for one in _Context().dev_lists(100) for pair in one.pairs]
    found = scorer.scores(pairs, "dev").reshape(-1, _SIZE)
    return float((found.argmax(axis=1) == 0).mean())


def test_loss_is_that_of_the_models_students() -> None:
    rng = np.random.default_rng(1)
    scores, teacher = rng.normal(size=(5, 4)), rng.normal(size=(3, 4))
    fit = Fit(temperature=2.0, hard=0.25, unscored=1.5, l2=0, iterations=1)
    loss, gradient = list_loss(scores, teacher, fit)
    given = torch.tensor(scores, requires_grad=True)
    soft = listwise_distillation(given[:3], torch.tensor(teacher), 2.0)
    expected = (3 * soft + 3 * 0.25 * listwise(given[:3]) + 2 * 1.5 * listwise(given[3:])) / 5
    expected.backward()  # type: ignore[no-untyped-call]
    assert loss == pytest.approx(float(expected.detach()))
    assert given.grad is not None
    np.testing.assert_allclose(gradient, given.grad.numpy(), atol=1e-12)


def test_crosses_learn_what_no_token_match_shows(made: Made) -> None:
    assert _right(made) > 0.9


def test_same_seed_same_weights_and_another_seed_another_hash(made: Made) -> None:
    again = _METHOD.make(_Context())
    assert all(torch.equal(made.tensors[name], again.tensors[name]) for name in made.tensors)
    other = _METHOD.make(_Context(seed=12))
    assert not torch.equal(*(one.tensors["linear.hashed.weight"] for one in (made, other)))
    assert _right(other) > 0.9


def test_labels_alone_are_enough() -> None:
    alone = LinearFloor(lists=800, scored=0, bits=12, l2=1e-5, iterations=30)
    assert _right(alone.make(_Context())) > 0.9


def test_what_is_made_is_a_small_variant_without_a_model(made: Made, tmp_path: Path) -> None:
    assert made.model is None
    assert is_linear(made.manifest)
    assert not is_linear({"arch": {"kind": "bert"}})
    types = {name: (tensor.dtype, list(tensor.shape)) for name, tensor in made.tensors.items()}
    assert types == {
        "linear.dense.weight": (torch.float16, [16]),
        "linear.hashed.weight": (torch.float16, [4096]),
        "linear.idf": (torch.float16, [_VOCAB]),
    }
    family = Family("tiny", "2026-01-01", "Apache-2.0", list(_Context.tokens), max_len=32)
    record = Trained(list(made.steps), [{"id": "teacher", "role": "teacher"}])
    folder = tmp_path / "linear"
    folder.mkdir()
    write_bundle(family, Variant("linear", record, made.model, made.tensors, made.manifest), folder)
    assert not (folder / "config.json").exists()
    pairs = _Context().lists.drawn(0).pairs
    expected = from_tensors(made.manifest["arch"], made.tensors).scores(pairs, "made")
    np.testing.assert_array_equal(read_back(folder, [tmp_path]).scores(pairs, "read"), expected)


def test_the_servers_golden_scores_are_those_of_this_package() -> None:
    case = Path(__file__).parents[2] / "tests" / "golden" / "linear"
    golden = json.loads((case / "golden.json").read_text())
    scorer = load_scorer(case / "model", json.loads((case / "model/variant.json").read_text()))
    for row, expected in zip(golden["sequences"], golden["outputs"], strict=True):
        first = row["token_type_ids"].count(0)
        assert scorer.score(row["token_ids"], first) == pytest.approx(expected[0], abs=1e-9)


def test_tensors_that_do_not_fit_are_refused(made: Made) -> None:
    arch = made.manifest["arch"]
    with pytest.raises(TailorError, match="features version 1"):
        from_tensors({**arch, "features": 2}, made.tensors)
    with pytest.raises(TailorError, match=r"linear.hashed.weight \[8192\]"):
        from_tensors({**arch, "bits": 13}, made.tensors)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"bits": 25}, "4 to 24 bits"), ({"lists": 10, "scored": 11}, "at most as many scored")],
)
def test_settings_out_of_range_are_refused(settings: dict[str, int], expected: str) -> None:
    with pytest.raises(TailorError, match=expected):
        LinearFloor(**settings)
