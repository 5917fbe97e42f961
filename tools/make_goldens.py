#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# PyTorch and transformers annotate only a part of what is called here.
# mypy: disallow-untyped-calls=False, warn-return-any=False
"""Makes tests/golden/: tiny random BERT folders and what PyTorch computes with them in f32.

Each case is a folder with `model/` (as users bring it) and `golden.json`: a header, `sequences`
and `outputs`, one row per sequence (raw logits, or the embedding). The C++ tests read both.
Run by `make goldens`; the same versions and seeds give the same bytes.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from golden_files import (
    EPS,
    FFN,
    HEAD_DIM,
    HEADS,
    HIDDEN,
    POSITIONS,
    VOCAB,
    Case,
    Json,
    Layer,
    Tensors,
    sequences,
    write_case,
)
from torch import Tensor
from torch.nn import functional
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Give every tensor values of a size that a wrong or missing one would show in the output.

    The library's own start (0.02, zero biases, unit norms) hides a forgotten bias or norm.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.named_parameters():
        noise = torch.randn(tensor.shape, generator=generator)
        if "LayerNorm" in name or "layer_norm" in name:
            noise = 0.2 * noise + (1.0 if name.endswith("weight") else 0.0)
        elif tensor.ndim == 1:
            noise = 0.2 * noise
        elif "embeddings" not in name:
            noise = noise / tensor.shape[1] ** 0.5
        tensor.data.copy_(noise)


def bert(seed: int, labels: int = 1) -> BertForSequenceClassification:
    """A classifier with two layers and random weights."""
    head: Json = {"num_labels": labels}
    config = BertConfig(
        vocab_size=VOCAB,
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        intermediate_size=FFN,
        max_position_embeddings=POSITIONS,
        layer_norm_eps=EPS,
        **head,
    )
    model = BertForSequenceClassification(config)
    randomise(model, seed)
    return model.eval()


def config_of(model: Any) -> Json:
    """The model's config.json, with the one key that newer transformers leave out."""
    config: Json = model.config.to_dict()
    config["architectures"] = [type(model).__name__]
    config["position_embedding_type"] = "absolute"
    return config


def logits_of(model: Any, **fixed: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """The forward pass of a transformers classifier, one sequence at a time."""
    return lambda ids, types: model(input_ids=ids, token_type_ids=types, **fixed).logits[0]


def layer_output(w: Tensors, layer: Layer, x: Tensor) -> Tensor:
    """One post-norm layer, x [tokens, hidden], written out so that every shape may differ."""
    a, f = f"encoder.layer.{layer.attn}.attention", f"encoder.layer.{layer.ffn}"

    def linear(name: str, value: Tensor) -> Tensor:
        return functional.linear(value, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(name: str, value: Tensor) -> Tensor:
        return functional.layer_norm(value, (HIDDEN,), w[f"{name}.weight"], w[f"{name}.bias"], EPS)

    def heads(name: str) -> Tensor:
        return linear(f"{a}.self.{name}", x).unflatten(-1, (layer.heads, HEAD_DIM)).transpose(0, 1)

    weights = (heads("query") @ heads("key").transpose(1, 2) / HEAD_DIM**0.5).softmax(-1)
    context = (weights @ heads("value")).transpose(0, 1).flatten(1)
    y = norm(f"{a}.output.LayerNorm", linear(f"{a}.output.dense", context) + x)
    inner = functional.gelu(linear(f"{f}.intermediate.dense", y))
    return norm(f"{f}.output.LayerNorm", linear(f"{f}.output.dense", inner) + y)


def written_out(tensors: Tensors, layers: list[Layer]) -> Callable[[Tensor, Tensor], Tensor]:
    """The forward pass of a classifier by its layer table, for shapes transformers lacks."""
    w = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}

    def forward(ids: Tensor, types: Tensor) -> Tensor:
        x = w["embeddings.word_embeddings.weight"][ids[0]]
        x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = x + w["embeddings.token_type_embeddings.weight"][types[0]]
        name = "embeddings.LayerNorm"
        x = functional.layer_norm(x, (HIDDEN,), w[f"{name}.weight"], w[f"{name}.bias"], EPS)
        for layer in layers:
            x = layer_output(w, layer, x)
        pooled = torch.tanh(
            functional.linear(x[0], w["pooler.dense.weight"], w["pooler.dense.bias"])
        )
        return functional.linear(pooled, w["classifier.weight"], w["classifier.bias"])

    return forward


def slice_layer(tensors: Tensors, number: int, heads: list[int], neurons: list[int]) -> None:
    """Keep some heads and neurons of a layer, in place; head h owns rows h*d to (h+1)*d - 1."""
    layer = f"bert.encoder.layer.{number}"
    rows = torch.tensor([h * HEAD_DIM + i for h in heads for i in range(HEAD_DIM)])
    for name in ("query", "key", "value"):
        for part in ("weight", "bias"):
            tensors[f"{layer}.attention.self.{name}.{part}"] = tensors[
                f"{layer}.attention.self.{name}.{part}"
            ][rows]
    dense = f"{layer}.attention.output.dense.weight"
    tensors[dense] = tensors[dense][:, rows]
    for part in ("weight", "bias"):
        name = f"{layer}.intermediate.dense.{part}"
        tensors[name] = tensors[name][neurons]
    name = f"{layer}.output.dense.weight"
    tensors[name] = tensors[name][:, neurons]


def plain_cases() -> Iterator[Case]:
    """Folders that transformers loads itself, in the shapes that users have."""
    for name, labels, seed in (("plain", 1, 11), ("three_labels", 3, 12)):
        model = bert(seed, labels)
        about = f"BertForSequenceClassification, prefix bert., {labels} label(s)"
        yield Case(name, about, seed, model.state_dict(), config_of(model), logits_of(model))

    model = bert(13)
    names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    old = {}
    for name, tensor in model.state_dict().items():
        for new, former in names.items():
            name = name.replace(new, former)
        old[name] = tensor
    about = "LayerNorm tensors named gamma and beta, as old checkpoints have them"
    yield Case("gamma_beta", about, 13, old, config_of(model), logits_of(model))

    model = bert(14)
    about = "two safetensors shards with an index"
    case = Case("sharded", about, 14, model.state_dict(), config_of(model), logits_of(model))
    case.shards = 2
    yield case


def mean_pooling_case() -> Case:
    """A sentence-transformers encoder: f16 tensors without a prefix, mean and normalise."""
    model = bert(15).half().float()  # the values that the f16 file holds
    encoder = model.bert

    def embed(ids: Tensor, types: Tensor) -> Tensor:
        states = encoder(input_ids=ids, token_type_ids=types).last_hidden_state[0]
        return functional.normalize(states.mean(dim=0), dim=0)

    config = config_of(encoder)
    modules = [
        ("0", "", "Transformer"),
        ("1", "1_Pooling", "Pooling"),
        ("2", "2_Normalize", "Normalize"),
    ]
    pooling = {"word_embedding_dimension": HIDDEN, "pooling_mode_cls_token": False}
    pooling |= {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}
    return Case(
        name="mean_pooling_f16",
        about="BertModel without prefix, f16, sentence-transformers mean pooling and normalise",
        seed=15,
        tensors=encoder.state_dict(),
        config=config,
        forward=embed,
        dtype=torch.float16,
        extra_files={
            "modules.json": [
                {"idx": int(i), "name": i, "path": p, "type": f"sentence_transformers.models.{t}"}
                for i, p, t in modules
            ],
            "1_Pooling/config.json": pooling,
            "sentence_bert_config.json": {"max_seq_length": POSITIONS, "do_lower_case": False},
        },
        outputs_kind="embedding",
    )


def distilbert_case() -> Case:
    """DistilBERT: other names, no segments, a ReLU head instead of the pooler."""
    head: Json = {"num_labels": 1}
    config = DistilBertConfig(
        vocab_size=VOCAB,
        dim=HIDDEN,
        n_layers=2,
        n_heads=HEADS,
        hidden_dim=FFN,
        max_position_embeddings=POSITIONS,
        **head,
    )
    model = DistilBertForSequenceClassification(config)
    randomise(model, 16)
    model.eval()
    return Case(
        name="distilbert",
        about="DistilBertForSequenceClassification; token_type_ids are ignored",
        seed=16,
        tensors=model.state_dict(),
        config={**model.config.to_dict(), "architectures": [type(model).__name__]},
        forward=lambda ids, _: model(input_ids=ids).logits[0],
    )


def table_cases() -> Iterator[Case]:
    """Folders whose variant.json lists layers: pruned shapes, and layers that share tensors."""
    model = bert(17)
    tensors = dict(model.state_dict())
    slice_layer(tensors, 0, heads=[1, 3], neurons=list(range(0, FFN, 2)))
    slice_layer(tensors, 1, heads=[0, 1, 2], neurons=list(range(5, 77)))
    layers = [Layer(0, 0, heads=2, ffn_dim=64), Layer(1, 1, heads=3, ffn_dim=72)]
    about = "pruned: 2 heads and 64 neurons in layer 0, 3 and 72 in layer 1"
    yield Case("pruned", about, 17, tensors, config_of(model), written_out(tensors, layers), layers)

    model = bert(18)
    own = ("bert.encoder.layer.1.attention.",)
    tensors = {k: v for k, v in model.state_dict().items() if not k.startswith(own)}
    layers = [Layer(0, 0), Layer(attn=0, ffn=1), Layer(0, 0)]
    config = {**config_of(model), "num_hidden_layers": 3}
    about = "tied: all three layers use the attention of layer 0; layer 1 has an ffn of its own"
    yield Case("tied", about, 18, tensors, config, written_out(tensors, layers), layers)


class Int8Linear(torch.nn.Module):
    """A linear step on 8-bit codes (docs/numerics.md, int8); sums in f64, where they are exact."""

    def __init__(self, linear: torch.nn.Linear, input_scale: float) -> None:
        """Quantise the rows of `linear`; input_scale 0 is dynamic: a scale for each row of x."""
        super().__init__()
        largest = linear.weight.detach().abs().amax(dim=1)
        self.scale = largest / 127
        self.codes = (linear.weight.detach() / self.scale[:, None]).round().clamp(-127, 127)
        self.bias = linear.bias.detach()
        self.input_scale = torch.tensor([input_scale])

    def forward(self, x: Tensor) -> Tensor:
        """Take x [..., in] to [..., out]."""
        own = x.abs().amax(dim=-1, keepdim=True) / 127
        step = self.input_scale if self.input_scale > 0 else own
        sums = (x / step).round().clamp(-127, 127).double() @ self.codes.double().T
        return sums.float() * (step * self.scale) + self.bias

    def tensors(self, name: str) -> Tensors:
        """What the file holds of it; `name` ends in a dot."""
        stored = {f"{name}weight": self.codes.to(torch.int8), f"{name}weight_scale": self.scale}
        return stored | ({f"{name}input_scale": self.input_scale} if self.input_scale > 0 else {})


def int8_case(name: str, about: str, seed: int, input_scales: list[float | None]) -> Case:
    """A classifier with products as codes; the n-th input scale in turn, None leaves a float."""
    model = bert(seed)
    tensors = dict(model.state_dict())
    products = [
        (name, module)
        for name, module in model.named_modules()
        if ".encoder." in name and isinstance(module, torch.nn.Linear)
    ]
    for number, (path, module) in enumerate(products):
        input_scale = input_scales[number % len(input_scales)]
        if input_scale is None:
            continue
        coded = Int8Linear(module, input_scale)
        tensors |= coded.tensors(f"{path}.")
        parent, _, child = path.rpartition(".")
        setattr(model.get_submodule(parent), child, coded)
    # A value within f32 rounding of a tie may become another code in C++ than here, which shows as
    # a difference of some hundredths. With these seeds none does.
    return Case(name, about, seed, tensors, config_of(model), logits_of(model))


def int8_cases() -> Iterator[Case]:
    """Stored codes: all products with scales found at run time; fixed scales beside floats."""
    about = "all products of the encoder as int8 codes, dynamic"
    yield int8_case("int8_dynamic", about, 19, [0.0])
    about = "products as int8 codes with input scales of their own, every fifth left in f32"
    yield int8_case("int8_static_mixed", about, 20, [0.02, 0.025, 0.03, 0.022, None])


def check_written_out() -> None:
    """Stop when the written-out pass and transformers disagree: then neither is a reference."""
    model = bert(11)
    table = written_out(model.state_dict(), [Layer(0, 0), Layer(1, 1)])
    row = sequences(11)[3]
    ids, types = torch.tensor([row["token_ids"]]), torch.tensor([row["token_type_ids"]])
    with torch.no_grad():
        off = float((table(ids, types) - logits_of(model)(ids, types)).abs().max())
    if off > 1e-5:
        raise SystemExit(
            f"written-out pass: expected transformers' logits within 1e-5; off by {off}"
        )


def main() -> None:
    """Write every case below --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parent.parent / "tests" / "golden"
    parser.add_argument("--out", type=Path, default=default, help="folder of the cases")
    out: Path = parser.parse_args().out
    # One thread: the order of sums, and so the last bit of the goldens, is then fixed.
    torch.set_num_threads(1)
    check_written_out()
    for case in (
        *plain_cases(),
        mean_pooling_case(),
        distilbert_case(),
        *table_cases(),
        *int8_cases(),
    ):
        write_case(case, out)


if __name__ == "__main__":
    main()
