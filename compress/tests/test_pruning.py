# SPDX-License-Identifier: Apache-2.0
"""Gates, their gradients, and the removal of heads and neurons by them."""

from pathlib import Path

import pytest
import torch
from tiny_context import TinyContext, TinyLists, tiny_model
from torch import Tensor

from tailor_compress.errors import TailorError
from tailor_compress.method import Method
from tailor_compress.model.cut import LayerShape, layer_shapes
from tailor_compress.model.forward import logits, pad
from tailor_compress.pruning.flops import model_flops
from tailor_compress.pruning.gates import Gates, fold, gate_gradients, gated, open_gates
from tailor_compress.pruning.heads import PruneHeads, head_importance
from tailor_compress.pruning.neurons import PruneNeurons
from tailor_compress.pruning.rounds import ByLayer, remove_in_rounds
from tailor_compress.training.losses import listwise

_BATCH = pad(TinyLists().drawn(0).pairs)


def _some_gates() -> Gates:
    """Factors with closed heads and neurons, a layer without heads, and one without neurons."""
    generator = torch.Generator().manual_seed(3)
    heads = [torch.zeros(4), torch.rand(4, generator=generator) + 0.5]
    neurons = [torch.rand(24, generator=generator) * 2, torch.zeros(24)]
    heads[1][2] = 0
    neurons[0][::3] = 0
    return Gates(heads, neurons)


def test_the_folded_model_equals_the_gated_one() -> None:
    model, gates = tiny_model(), _some_gates()
    folded = fold(model, gates)
    assert [(s.heads, s.ffn_dim) for s in layer_shapes(folded)] == [(0, 16), (3, 0)]
    expected = logits(model, _BATCH, gated(model, gates))
    assert torch.allclose(logits(folded, _BATCH), expected, atol=1e-5)
    assert not torch.allclose(expected, logits(model, _BATCH), atol=1e-2)


def test_gate_gradients_equal_finite_differences() -> None:
    model = tiny_model().double()
    lists = [TinyLists().drawn(n) for n in (0, 1)]
    gates = Gates([g.double() for g in open_gates(model).heads], open_gates(model).neurons)
    gates = Gates(gates.heads, [g.double() for g in gates.neurons])
    found = gate_gradients(model, lists, gates)

    def loss(at: Gates, number: int) -> float:
        batch = pad(lists[number].pairs)
        return float(listwise(logits(model, batch, gated(model, at))[None]).detach())

    def moved(by: float, kind: str, unit: int) -> Gates:
        heads = [g.clone() for g in gates.heads]
        neurons = [g.clone() for g in gates.neurons]
        (heads if kind == "heads" else neurons)[1][unit] += by
        return Gates(heads, neurons)

    for number in (0, 1):
        for kind, unit in (("heads", 0), ("heads", 3), ("neurons", 5), ("neurons", 23)):
            step = 1e-5
            up, down = (loss(moved(by, kind, unit), number) for by in (step, -step))
            gradient = getattr(found, kind)[1][number, unit]
            assert float(gradient) == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-8)


def test_head_importance_has_norm_one_in_each_layer() -> None:
    model = tiny_model()
    found = gate_gradients(model, [TinyLists().drawn(n) for n in range(3)])
    importance = head_importance(found)
    for scores, gradients in zip(importance, found.heads, strict=True):
        assert float(scores.norm()) == pytest.approx(1)
        ratio = scores / gradients.abs().mean(dim=0)
        assert torch.allclose(ratio, ratio[0].expand(4))


def test_rounds_score_again_and_stop_where_told() -> None:
    seen: list[int] = []

    def importance(gates: ByLayer) -> ByLayer:
        seen.append(int(sum(gate.sum() for gate in gates)))
        return [torch.tensor([1.0, 9.0, 2.0]), torch.tensor([8.0, 0.0, 7.0])]

    gates = [torch.ones(3), torch.ones(3)]
    left = remove_in_rounds(gates, 2, 0.34, importance, lambda _: True)
    assert [gate.tolist() for gate in left] == [[0, 1, 0], [1, 0, 0]]
    assert seen == [6, 4]

    def keeps_the_third(after: ByLayer) -> bool:
        return bool(after[0][2] == 1)

    left = remove_in_rounds(gates, 0, 0.01, importance, keeps_the_third)
    assert [gate.tolist() for gate in left] == [[0, 1, 1], [1, 0, 1]]


@pytest.mark.parametrize(
    ("method", "heads", "neurons"),
    [(PruneHeads(keep=0.5, lists=4), 4, 48), (PruneNeurons(keep=0.25, lists=4), 8, 12)],
)
def test_methods_keep_the_share(tmp_path: Path, method: Method, heads: int, neurons: int) -> None:
    made = method.make(TinyContext(tmp_path / "state.pt", tiny_model()))
    assert made.model is not None
    shapes = layer_shapes(made.model)
    assert sum(shape.heads for shape in shapes) == heads
    assert sum(shape.ffn_dim for shape in shapes) == neurons


def test_heads_stay_when_the_quality_would_fall(tmp_path: Path) -> None:
    context = TinyContext(tmp_path / "state.pt", tiny_model())
    made = PruneHeads(keep=0, least_quality=0.9, lists=4).make(context)
    assert made.model is not None
    kept = sum(shape.heads for shape in layer_shapes(made.model))
    assert 0 < kept < 8
    assert context.dev_quality(made.model) >= 0.9 * context.dev_quality(context.base)


def test_recovery_resumes_to_the_same_weights(tmp_path: Path) -> None:
    def made(name: str) -> dict[str, Tensor]:
        method = PruneNeurons(
            keep=0.5, lists=2, steps=6, lists_per_step=2, precision="f32", distinct_lists=8
        )
        result = method.make(TinyContext(tmp_path / name, tiny_model())).model
        assert result is not None
        return result.state_dict()

    first = made("one.pt")
    again = made("one.pt")
    other = made("two.pt")
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(torch.equal(first[name], other[name]) for name in first)
    unrecovered = PruneNeurons(keep=0.5, lists=2).make(
        TinyContext(tmp_path / "three.pt", tiny_model())
    )
    assert unrecovered.model is not None
    assert not torch.equal(
        first["classifier.weight"], unrecovered.model.state_dict()["classifier.weight"]
    )


def test_a_share_above_one_is_refused(tmp_path: Path) -> None:
    context = TinyContext(tmp_path / "state.pt", tiny_model())
    for method in (PruneHeads(keep=1.5), PruneNeurons(keep=-0.5)):
        with pytest.raises(TailorError, match="of 0 to 1"):
            method.make(context)


def test_flops_by_hand() -> None:
    # hidden 4, 3 tokens: 3 heads of 2: products 2*3*4*(4*6), attention 4*9*6; 5 neurons 2*3*4*10;
    # pooler and classifier 2*4*(4+1).
    assert model_flops([LayerShape(3, 2, 5)], 4, 3) == 576 + 216 + 240 + 40
    assert model_flops([LayerShape(0, 2, 0)], 4, 3) == 40
