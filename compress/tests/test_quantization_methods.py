# SPDX-License-Identifier: Apache-2.0
"""Variants stored as codes: made after training and in training, written and read back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_context import TinyContext, TinyLists, tiny_model
from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.export.bundle import stored_tensors
from tailor_compress.method import Made
from tailor_compress.model.cut import LayerCut, cut_model, layer_shapes, load_weights
from tailor_compress.model.forward import Apply
from tailor_compress.pruning.gates import Gates, fold
from tailor_compress.pruning.recovery import ParentObjective
from tailor_compress.quantization.calibrate import list_scores
from tailor_compress.quantization.fake import FakeQuantisation, fake_quantised
from tailor_compress.quantization.method import PostTraining, QuantizationAware
from tailor_compress.quantization.products import WORDS, encoder_products
from tailor_compress.quantization.quantizer import QuantisedLinear, row_scales
from tailor_compress.quantization.reader import install_stored, read_quantised
from tailor_compress.training.loop import Schedule, train
from tailor_compress.training.losses import listwise_distillation

# All positions of the tiny model.
_MAX_LEN = 32
DENSE = "bert.encoder.layer.0.output.dense"
KEY = "bert.encoder.layer.1.attention.self.key"


@pytest.fixture
def context(tmp_path: Path) -> TinyContext:
    return TinyContext(tmp_path / "checkpoint.pt", tiny_model())


def scores(model: BertForSequenceClassification | None, apply: Apply) -> Tensor:
    assert model is not None
    return list_scores(model, [TinyLists(seed=3).drawn(number) for number in range(8)], apply)


def read(made: Made, path: Path) -> tuple[BertForSequenceClassification, Apply]:
    """Write what a bundle stores and read it back."""
    assert made.model is not None
    save_file(stored_tensors(made.model, made.tensors, _MAX_LEN), path)
    floats, products = read_quantised(load_file(path))
    model = load_weights(made.model.config, layer_shapes(made.model), floats)
    return model, install_stored(model, products)


SETTINGS = [
    PostTraining(),
    PostTraining(mode="static", calibration_lists=4),
    PostTraining(float_products=3, scan_lists=2),
    PostTraining(mode="static", observer="min_max", embeddings=True, float_products=1),
]


@pytest.mark.parametrize("method", SETTINGS)
def test_a_variant_scores_the_same_read_back(
    method: PostTraining, context: TinyContext, tmp_path: Path
) -> None:
    made = method.make(context)
    before = scores(made.model, made.apply)
    model, apply = read(made, tmp_path / "model.safetensors")
    assert torch.equal(scores(model, apply), before)
    whole = scores(context.base, PostTraining().make(context).apply)
    assert 0 < float((before - whole).abs().max()) < 0.3 * float(whole.std())
    assert made.manifest == {"activations": {"mode": method.mode, "bits": 8}}


@pytest.mark.parametrize("method", SETTINGS)
def test_the_tensors_are_those_of_the_contract(method: PostTraining, context: TinyContext) -> None:
    made = method.make(context)
    stored = stored_tensors(made.model, made.tensors, _MAX_LEN)
    coded = {name.removesuffix(".weight_scale") for name in stored if "weight_scale" in name}
    products = encoder_products(context.base)
    assert len(coded & set(products)) == len(products) - method.float_products
    assert (WORDS in coded) == method.embeddings
    for name in coded:
        weight, scale = stored[f"{name}.weight"], stored[f"{name}.weight_scale"]
        assert weight.dtype is torch.int8
        assert scale.shape == weight.shape[:1]
        assert scale.dtype is torch.float32
        static = method.mode == "static" and name != WORDS
        assert (f"{name}.input_scale" in stored) == static
        if static:
            assert stored[f"{name}.input_scale"].shape == (1,)
            assert stored[f"{name}.input_scale"].dtype is torch.float32
    left = made.steps[0].params["left_float"]
    assert len(left) == method.float_products
    assert all(stored[f"{name}.weight"].dtype is torch.float16 for name in left)


def test_the_worst_product_stays_float(context: TinyContext) -> None:
    layers: Any = context.base.bert.encoder.layer
    with torch.no_grad():
        layers[0].output.dense.weight[:, 0] = 60.0
    made = [PostTraining(float_products=count, scan_lists=4).make(context) for count in (0, 1)]
    assert made[1].steps[0].params["left_float"] == [DENSE]
    whole = scores(context.base, lambda linear, x: linear(x))
    errors = [float((scores(one.model, one.apply) - whole).square().mean()) for one in made]
    assert errors[1] < 0.1 * errors[0]


def test_one_static_scale_is_coarser_than_one_a_token(context: TinyContext) -> None:
    with torch.no_grad():
        # One word far larger behind the norm: it decides the scale of all, or only its own.
        layers: Any = context.base.bert.encoder.layer
        layers[0].output.LayerNorm.weight[5] = 40.0
    whole = scores(context.base, lambda linear, x: linear(x))
    errors = []
    for method in (PostTraining(), PostTraining(mode="static", observer="min_max")):
        made = method.make(context)
        errors.append(float((scores(made.model, made.apply) - whole).square().mean()))
    assert errors[0] < errors[1]


def test_word_vectors_keep_a_scale_each(context: TinyContext) -> None:
    made = PostTraining(embeddings=True).make(context)
    table = context.base.get_submodule(WORDS).weight
    assert isinstance(table, Tensor)
    assert made.model is not None
    found = made.model.get_submodule(WORDS).weight
    assert isinstance(found, Tensor)
    codes, scale = made.tensors[f"{WORDS}.weight"], made.tensors[f"{WORDS}.weight_scale"]
    assert torch.equal(found, codes.float() * scale[:, None])
    assert set(codes.abs().amax(dim=1).tolist()) <= {0, 127}
    halves = row_scales(table)[:, None] * 0.51
    assert bool(((found - table).abs() <= halves + 1e-3 * table.abs()).all())


def test_a_cut_of_stored_products_keeps_their_codes(context: TinyContext) -> None:
    made = PostTraining(mode="static").make(context)
    assert made.model is not None
    small = cut_model(made.model, [LayerCut(1, [2, 0], [5, 1, 7]), LayerCut(0, [], [])])
    whole: Any = made.model.bert.encoder.layer[1]
    found: Any = small.bert.encoder.layer[0]
    kept = [8, 9, 10, 11, 0, 1, 2, 3]
    assert torch.equal(found.attention.self.key.codes, whole.attention.self.key.codes[kept])
    out = found.attention.output.dense
    assert torch.equal(out.codes, whole.attention.output.dense.codes[:, kept])
    assert torch.equal(out.weight_scale, whole.attention.output.dense.weight_scale)
    assert torch.equal(out.input_scale, whole.attention.output.dense.input_scale)
    assert torch.equal(found.output.dense.codes, whole.output.dense.codes[:, [5, 1, 7]])
    assert scores(small, made.apply).isfinite().all()


def test_gates_cut_stored_products_but_do_not_scale_them(context: TinyContext) -> None:
    made = PostTraining().make(context)
    assert made.model is not None
    heads, neurons = torch.ones(2, 4), torch.ones(2, 24)
    heads[0, 1] = neurons[1, 3] = 0
    found = fold(made.model, Gates(list(heads), list(neurons)))
    assert [(one.heads, one.ffn_dim) for one in layer_shapes(found)] == [(3, 24), (4, 23)]
    neurons[1, 4] = 0.5
    with pytest.raises(TailorError, match=r"gates of 0 and 1 .* got 0\.5"):
        fold(made.model, Gates(list(heads), list(neurons)))


def broken(tensors: dict[str, Tensor], how: str) -> None:
    if how == "codes":
        tensors[f"{DENSE}.weight"] = tensors[f"{DENSE}.weight"].float()
    elif how == "range":
        tensors[f"{DENSE}.weight"][0, 0] = -128
    elif how == "scale":
        tensors[f"{DENSE}.weight_scale"][1] = 0
    elif how == "shape":
        tensors[f"{DENSE}.weight_scale"] = torch.ones(3)
    else:
        del tensors[f"{DENSE}.weight"]


@pytest.mark.parametrize("how", ["codes", "range", "scale", "shape", "absent"])
def test_codes_and_scales_that_do_not_fit_are_refused(how: str, context: TinyContext) -> None:
    made = PostTraining().make(context)
    tensors = {name: one.clone() for name, one in made.tensors.items()}
    broken(tensors, how)
    with pytest.raises(TailorError, match=DENSE):
        read_quantised(tensors)


@pytest.mark.parametrize(
    "method",
    [
        PostTraining(float_products=-1),
        PostTraining(float_products=13),
        QuantizationAware(steps=0),
        QuantizationAware(ema_decay=1.0),
    ],
)
def test_settings_that_cannot_be_met_are_refused(method: Any, context: TinyContext) -> None:
    with pytest.raises(TailorError):
        method.make(context)


def test_the_gradient_goes_straight_through() -> None:
    x = torch.tensor([0.26, -0.74, 900.0], requires_grad=True)
    found = fake_quantised(x, torch.tensor(0.5))
    assert found.tolist() == [0.5, -0.5, 63.5]
    (gradient,) = torch.autograd.grad(found, x, torch.tensor([1.0, 2.0, 3.0]))
    assert gradient.tolist() == [1.0, 2.0, 3.0]


def test_the_moving_average_by_hand() -> None:
    model = tiny_model()
    fake = FakeQuantisation(model, static=True, decay=0.9, floats=[KEY])
    products = encoder_products(model)
    ids = torch.tensor([[2, 7, 0], [2, 8, 9]])
    model.get_submodule(WORDS)(ids)
    x = torch.zeros(2, 3, 16)
    x[0, 1, 2], x[0, 2, 0] = -2.0, 50.0
    fake(products[KEY], x)
    fake(products[KEY], x * 2)
    largest = (0.1 * 0.9 * 2 + 0.1 * 4) / (0.1 * 0.9 + 0.1)
    # Position [0, 2] is padding; the product that stays float speaks for query and value.
    query = KEY.replace("key", "query")
    place = fake._inputs[KEY]
    assert float(fake.state[place, 0] / fake.state[place, 1]) == pytest.approx(largest)
    fake.state[fake.state[:, 1] == 0] = 1.0
    scales = fake.input_scales()
    assert KEY not in scales
    assert float(scales[query]) == pytest.approx(largest / 127)
    fake.close()
    assert not model.get_submodule(WORDS)._forward_pre_hooks


def test_a_fake_product_is_the_integer_product(context: TinyContext) -> None:
    made = PostTraining().make(context)
    assert made.model is not None
    fake = FakeQuantisation(made.model, static=False, decay=0.9, floats=[])
    torch.testing.assert_close(
        scores(made.model, fake), scores(made.model, made.apply), atol=1e-4, rtol=0
    )


SHORT = QuantizationAware(steps=6, lists_per_step=4, learning_rate=1e-3, precision="f32")


@dataclass
class Killed:
    """An objective that ends with an error at a step, as a kill would."""

    inner: ParentObjective
    at: int

    def __call__(self, step: int) -> Tensor:
        if step == self.at:
            raise KeyboardInterrupt
        return self.inner(step)


def trained(context: TinyContext, path: Path, kill_at: int = -1) -> tuple[list[Tensor], Tensor]:
    model = context.parent()
    fake = FakeQuantisation(model, static=True, decay=0.9, floats=[])
    objective = Killed(ParentObjective(context, SHORT, model, fake), kill_at)
    schedule = Schedule(6, 4, 1e-3, 1, "f32", checkpoint_steps=2)
    train(model, objective, schedule, path, "tiny", [fake.state])
    return list(model.parameters()), fake.state


def test_a_training_that_was_killed_ends_the_same(context: TinyContext, tmp_path: Path) -> None:
    weights, state = trained(context, tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        trained(context, tmp_path / "killed.pt", kill_at=5)
    again, again_state = trained(context, tmp_path / "killed.pt")
    assert torch.equal(state, again_state)
    assert bool((state[:, 1] > 0).all())
    for one, other in zip(weights, again, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("mode", ["static", "dynamic"])
def test_training_with_codes_is_exported_and_read_back(
    mode: Any, context: TinyContext, tmp_path: Path
) -> None:
    method = QuantizationAware(
        mode=mode, steps=4, lists_per_step=4, precision="bf16", float_products=1, scan_lists=2
    )
    made = method.make(context)
    again = method.make(context)
    before = scores(made.model, made.apply)
    assert torch.equal(scores(again.model, again.apply), before)
    model, apply = read(made, tmp_path / "model.safetensors")
    assert torch.equal(scores(model, apply), before)
    assert made.manifest["activations"]["mode"] == mode
    has_scale = {name.endswith("input_scale") for name in made.tensors}
    assert has_scale == ({True, False} if mode == "static" else {False})
    assert made.steps[0].name == "quantization_aware_int8"


def test_training_with_codes_gains_on_rounding_afterwards(context: TinyContext) -> None:
    layers: Any = context.base.bert.encoder.layer
    with torch.no_grad():
        # Large weights in every row leave few codes to the others.
        for layer in layers:
            layer.intermediate.dense.weight[:, 0] += 3.0
            layer.output.dense.weight[:, 1] += 6.0
    whole = scores(context.base, lambda linear, x: linear(x))

    def divergence(made: Made) -> float:
        return float(listwise_distillation(scores(made.model, made.apply), whole, 1.0))

    after = PostTraining(mode="static", observer="min_max").make(context)
    method = QuantizationAware(
        steps=60, lists_per_step=8, learning_rate=1e-4, precision="f32", hard=0.0, ema_decay=0.99
    )
    aware = method.make(context)
    assert divergence(aware) < 0.5 * divergence(after)
    assert aware.model is not None
    assert isinstance(encoder_products(aware.model)[DENSE], QuantisedLinear)
