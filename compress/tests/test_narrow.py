# SPDX-License-Identifier: Apache-2.0
"""Narrow word vectors: as near to the full ones as their width allows, loaded and trained."""

import numpy as np
import pytest
import torch
from tiny_context import TinyLists, tiny_model

from tailor_compress.errors import TailorError
from tailor_compress.model.cut import layer_shapes, load_weights
from tailor_compress.model.forward import logits, pad
from tailor_compress.model.narrow import embedding_width, narrow_embedding, word_vectors

_BATCH = pad(TinyLists().drawn(0).pairs)


def test_the_error_is_that_of_the_best_approximation() -> None:
    model = tiny_model()
    narrow = narrow_embedding(model, 5)
    table = word_vectors(model).detach().numpy().astype(np.float64)
    singular = np.linalg.svd(table - table.mean(axis=0), compute_uv=False)
    error = np.square(word_vectors(narrow).detach().numpy() - table).sum()
    assert error == pytest.approx(np.square(singular[5:]).sum(), rel=1e-4)
    assert embedding_width(model) == 16
    assert embedding_width(narrow) == 5


def test_vectors_that_fit_in_the_width_are_kept_exactly() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[:, 4:] = 0.5
    assert torch.allclose(
        logits(narrow_embedding(model, 4), _BATCH), logits(model, _BATCH), atol=1e-5
    )


def test_a_narrow_model_has_the_contract_s_names_and_loads_from_its_weights() -> None:
    narrow = narrow_embedding(tiny_model(), 6)
    tensors = narrow.state_dict()
    assert tensors["bert.embeddings.word_embeddings.weight"].shape == (40, 6)
    assert tensors["bert.encoder.embedding_hidden_mapping_in.weight"].shape == (16, 6)
    assert tensors["bert.encoder.embedding_hidden_mapping_in.bias"].shape == (16,)
    again = load_weights(narrow.config, layer_shapes(narrow), tensors)
    assert torch.equal(logits(again, _BATCH), logits(narrow, _BATCH))


@pytest.mark.parametrize("width", [0, 16])
def test_a_width_that_is_no_narrowing_is_refused(width: int) -> None:
    with pytest.raises(TailorError, match="embedding of 1 to 15"):
        narrow_embedding(tiny_model(), width)


def test_narrow_vectors_are_not_narrowed_again() -> None:
    with pytest.raises(TailorError, match="full word vectors"):
        narrow_embedding(narrow_embedding(tiny_model(), 8), 4)
