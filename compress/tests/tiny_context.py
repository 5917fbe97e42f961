# SPDX-License-Identifier: Apache-2.0
"""A context of made-up lists over one tiny random model, for tests of methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from made_up import words
from numpy.typing import NDArray
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.evaluation.metrics import list_metrics
from tailor_compress.method import Lists
from tailor_compress.model.forward import Apply, logits, pad, plain
from tailor_compress.text import SPECIAL_TOKENS
from tailor_compress.training.corpus import CandidateList

_SIZE = 4
_VOCABULARY = 40


def tiny_model(seed: int = 0, layers: int = 2) -> BertForSequenceClassification:
    """Return a model whose heads and neurons matter: its products keep the size of their input."""
    torch.manual_seed(seed)
    # Products of this size only lose by sharing, and much when something else runs beside.
    torch.set_num_threads(1)
    sizes: dict[str, Any] = {
        "vocab_size": _VOCABULARY,
        "hidden_size": 16,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "intermediate_size": 24,
        "max_position_embeddings": 32,
        "num_labels": 1,
        "initializer_range": 0.3,
    }
    model = BertForSequenceClassification(BertConfig(**sizes))
    model.train(False)
    return model


@dataclass(frozen=True)
class TinyLists:
    """Random lists of four candidates; number n is always the same one."""

    seed: int = 1
    id: str = "tiny"
    size: int = _SIZE

    def __len__(self) -> int:
        return 64

    def drawn(self, number: int) -> CandidateList:
        rng = np.random.default_rng([self.seed, number])
        query = rng.integers(5, _VOCABULARY, 3).tolist()
        pairs = []
        for n in range(_SIZE):
            words = rng.integers(5, _VOCABULARY, int(rng.integers(3, 9))).tolist()
            document = query + words if n == 0 else words
            pairs.append(([2, *query, 3, *document, 3], len(query) + 2))
        return CandidateList(pairs)


@dataclass(frozen=True)
class TinyContext:
    """What a method gets; its quality is how well it ranks the base's first choice."""

    checkpoint: Path
    base: BertForSequenceClassification
    id: str = "made"
    seed: int = 1
    data_id: str = "tiny"

    @property
    def lists(self) -> Lists:
        return TinyLists()

    @property
    def tokens(self) -> Sequence[str]:
        return [*SPECIAL_TOKENS, *words(_VOCABULARY - len(SPECIAL_TOKENS))]

    def parent(self, role: str = "base") -> BertForSequenceClassification:
        assert role == "base"
        model = BertForSequenceClassification(self.base.config)
        model.load_state_dict(self.base.state_dict())
        model.train(False)
        return model

    def scores(self, role: str, lists: Lists, count: int) -> NDArray[np.float32]:
        model = self.parent(role)
        with torch.inference_mode():
            rows = [logits(model, pad(lists.drawn(n).pairs)) for n in range(count)]
        found: NDArray[np.float32] = torch.stack(rows).numpy()
        return found

    def dev_lists(self, count: int) -> Sequence[CandidateList]:
        return [TinyLists(seed=2).drawn(number) for number in range(count)]

    def dev_quality(self, model: BertForSequenceClassification, apply: Apply = plain) -> float:
        with torch.inference_mode():
            batches = [pad(one.pairs) for one in self.dev_lists(16)]
            scores = torch.stack([logits(model, batch, apply) for batch in batches])
            first = torch.stack([logits(self.base, batch).argmax() for batch in batches])
        turned = [row.roll(-int(at)) for row, at in zip(scores, first, strict=True)]
        return float(list_metrics(torch.stack(turned).double().numpy()).ndcg10.mean())
