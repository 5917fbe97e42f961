# SPDX-License-Identifier: Apache-2.0
"""Layer dropping, and the forward pass that also gives states."""

from typing import Any

import pytest
import torch
from tiny_context import TinyLists, tiny_model
from torch import nn

from tailor_compress.errors import TailorError
from tailor_compress.model.cut import LayerCut, cut_model, layer_shapes
from tailor_compress.model.forward import first_states, logits, pad
from tailor_compress.model.layers import keep_layers, picked_layers
from tailor_compress.model.states import run_states

_BATCH = pad(TinyLists().drawn(0).pairs)


def test_bottom_takes_the_first_and_interval_every_second() -> None:
    assert picked_layers("bottom", 3, 6) == [0, 1, 2]
    assert picked_layers("interval", 3, 6) == [0, 2, 4]
    assert picked_layers("interval", 4, 6) == [0, 1, 3, 4]
    assert picked_layers("interval", 6, 6) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("keep", [0, 7])
def test_more_layers_than_there_are_and_none_are_refused(keep: int) -> None:
    with pytest.raises(TailorError, match="1 to 6 layers"):
        picked_layers("bottom", keep, 6)


@pytest.mark.parametrize("layers", [[], [4], [-1]])
def test_layers_that_the_model_does_not_have_are_refused(layers: list[int]) -> None:
    with pytest.raises(TailorError):
        keep_layers(tiny_model(layers=4), layers)


def test_kept_layers_compute_what_the_parent_does_with_the_others_skipped() -> None:
    parent = tiny_model(layers=4)
    kept = keep_layers(parent, [0, 2, 3])

    def skip(_: nn.Module, arguments: tuple[torch.Tensor, ...], __: Any) -> torch.Tensor:
        return arguments[0]

    layers: Any = parent.bert.encoder.layer
    layers[1].register_forward_hook(skip)
    masked = parent(_BATCH.ids, attention_mask=_BATCH.mask, token_type_ids=_BATCH.segments)
    assert torch.allclose(logits(kept, _BATCH), masked.logits.squeeze(-1), atol=1e-5)
    assert len(layer_shapes(parent)) == 4
    assert kept.config.num_hidden_layers == 3


def test_states_are_those_of_transformers() -> None:
    model = tiny_model(layers=3)
    found = run_states(model, _BATCH, attended=True)
    model.set_attn_implementation("eager")
    expected = model(
        _BATCH.ids,
        attention_mask=_BATCH.mask,
        token_type_ids=_BATCH.segments,
        output_hidden_states=True,
        output_attentions=True,
    )
    used = _BATCH.mask.bool()
    assert len(found.hidden) == 4
    for ours, theirs in zip(found.hidden, expected.hidden_states, strict=True):
        assert torch.allclose(ours[used], theirs[used], atol=1e-5)
    assert len(found.attended) == 3
    for seen, theirs in zip(found.attended, expected.attentions, strict=True):
        ours = seen.scores.softmax(-1).transpose(1, 2)[used]
        assert torch.allclose(ours, theirs.transpose(1, 2)[used], atol=1e-5)
        assert seen.q.shape == seen.k.shape == seen.v.shape == (4, 4, _BATCH.ids.shape[1], 4)
    assert torch.allclose(found.logits, expected.logits.squeeze(-1), atol=1e-5)


def test_only_the_first_row_of_the_last_layer_is_run_when_asked() -> None:
    model = tiny_model(layers=2)
    found = run_states(model, _BATCH, every_row=False)
    assert found.hidden[1].shape == (4, _BATCH.ids.shape[1], 16)
    assert found.hidden[2].shape == (4, 1, 16)
    assert torch.allclose(found.hidden[2][:, 0], first_states(model, _BATCH))
    assert found.attended == []


def test_states_of_layers_without_heads_or_neurons() -> None:
    model = cut_model(tiny_model(), [LayerCut(0, [], [1, 2]), LayerCut(1, [0, 3], [])])
    found = run_states(model, _BATCH, attended=True)
    assert torch.allclose(found.logits, logits(model, _BATCH), atol=1e-6)
    assert found.attended[0].scores.shape[1] == 0
    assert found.attended[1].scores.shape[1] == 2
