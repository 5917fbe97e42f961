# SPDX-License-Identifier: Apache-2.0
"""Guessing hidden words, the third of DistilBERT's losses.

A ranker has no head for words: one is learnt beside the student and dropped with the training.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tailor_compress.distillation.state_losses import Measured
from tailor_compress.model.forward import Padded
from tailor_compress.model.narrow import word_vectors
from tailor_compress.model.states import run_states
from tailor_compress.text import MASK, SPECIAL_TOKENS

# BERT's shares of the chosen words: hidden, and replaced by a random one; the rest is left.
_HIDDEN, _RANDOM = 0.8, 0.1


class WordHead(nn.Module):
    """BERT's head for words: dense, GELU, norm, then products with the word vectors."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, states: Tensor, table: Tensor) -> Tensor:
        """Return [n, vocab] of ``states`` [n, hidden] and word vectors ``table`` [vocab, hidden].

        Divided by the square root of the hidden size, because word vectors are not as small here
        as BERT's first ones.
        """
        x = self.norm(functional.gelu(self.dense(states)))
        found: Tensor = functional.linear(x, table) * table.shape[1] ** -0.5 + self.bias
        return found


def hide_words(
    batch: Padded, tokens: Sequence[str], share: float, rng: np.random.Generator
) -> tuple[Padded, Tensor]:
    """Return the batch with words hidden, and which places [n, length] are to be guessed.

    Each token that is not special is chosen with probability ``share``.
    """
    special = [tokens.index(name) for name in SPECIAL_TOKENS]
    ids = batch.ids.cpu().numpy()
    chosen = ~np.isin(ids, special) & (rng.random(ids.shape) < share)
    kind = rng.random(ids.shape)
    random = rng.integers(0, len(tokens), ids.shape)
    changed = np.where(chosen & (kind < _HIDDEN), tokens.index(MASK), ids)
    changed = np.where(chosen & (kind >= 1 - _RANDOM), random, changed)
    device = batch.ids.device
    shown = Padded(torch.from_numpy(changed).to(device), batch.segments, batch.mask)
    return shown, torch.from_numpy(chosen).to(device)


class MaskedWords:
    """The loss: mean cross-entropy of the hidden words, under the student's own word vectors."""

    def __init__(self, model: Any, head: WordHead, tokens: Sequence[str], share: float) -> None:
        self._model, self._head, self._tokens, self._share = model, head, tokens, share

    def __call__(self, batch: Padded, rng: np.random.Generator) -> Measured:
        """Return the sum over the hidden words of a batch, and their number."""
        shown, chosen = hide_words(batch, self._tokens, self._share, rng)
        states = run_states(self._model, shown).hidden[-1][chosen]
        found = self._head(states, word_vectors(self._model)).float()
        loss = functional.cross_entropy(found, batch.ids[chosen], reduction="sum")
        return loss, float(chosen.sum())
