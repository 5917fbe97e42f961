# SPDX-License-Identifier: Apache-2.0
"""A made-up archive and checkpoint: small, deterministic, without a network."""

import random
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from tailor_compress.text import SPECIAL_TOKENS

_SYLLABLES = ("ba", "co", "di", "fu", "ga", "ko", "li", "mo", "ne", "pu", "ra", "so", "ti", "vu")
_SECTIONS = ("admin", "games", "libs", "net", "science", "text")
_MAX_LEN_ROWS = 64


def words(count: int, seed: int = 5) -> list[str]:
    """Return ``count`` distinct words of two or three syllables."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choices(_SYLLABLES, k=rng.choice((2, 3))))] = None
    return list(found)


def _description(rng: random.Random, topic: list[str], filler: list[str]) -> list[str]:
    paragraphs = []
    for share in (0.4, 0.25):
        text = [rng.choice(topic if rng.random() < share else filler) for _ in range(22)]
        paragraphs.append(" ".join(text))
    return paragraphs


def write_archive(folder: Path, sources: int = 480, seed: int = 1) -> Path:
    """Write Packages and Translation-en of made-up packages; every tenth source has two."""
    rng = random.Random(seed)
    vocabulary = words(400)
    topics, filler = vocabulary[:300], vocabulary[300:]
    packages, translations = [], []
    for n in range(sources):
        topic = rng.sample(topics, 8)
        for part in ("", "-doc") if n % 10 == 0 else ("",):
            # Digits would be taken for a version, and all sources for one.
            source = "made-" + "".join(chr(ord("a") + int(digit)) for digit in f"{n:03d}")
            name = source + part
            synopsis = " ".join([*rng.sample(topic, 4), rng.choice(filler)])
            body = "\n .\n".join(f" {text}" for text in _description(rng, topic, filler))
            packages.append(
                f"Package: {name}\nSource: {source}\nVersion: 1\n"
                f"Description: {synopsis}\nDescription-md5: {name}\n"
                f"Section: {rng.choice(_SECTIONS)}\n"
            )
            translations.append(
                f"Package: {name}\nDescription-md5: {name}\nDescription-en: {synopsis}\n{body}\n"
            )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Packages").write_text("\n".join(packages))
    (folder / "Translation-en").write_text("\n".join(translations))
    return folder


def write_checkpoint(folder: Path, layers: int = 2, hidden: int = 32) -> Path:
    """Write an encoder with random weights whose vocabulary knows the made-up words."""
    torch.manual_seed(3)
    characters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = [*SPECIAL_TOKENS, *characters, *(f"##{c}" for c in characters), *words(400), "unseen"]
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=_MAX_LEN_ROWS,
    )
    folder.mkdir(parents=True, exist_ok=True)
    BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    return folder


def recipe_text(checkpoint: Path) -> str:
    """Return a recipe of the same form as the bundled family's, with tiny sizes."""
    return f"""
family: tiny
license: Apache-2.0
created: "2026-01-01"
release: madeup
seed: 1
threads: 1
max_len: 48
start: {{checkpoint: {checkpoint}, name: made-up, min_count: 2}}
evaluation: {{sets: [A, B, C, D, E], dev_queries: 10}}
stages:
  - {{id: teacher, method: fine_tune, parents: {{init: start}}, steps: 24, lists_per_step: 4,
     learning_rate: 2.0e-3, precision: f32, checkpoint_steps: 8}}
  - {{id: student, method: distil, parents: {{teacher: teacher}}, start: scratch,
     shape: {{layers: 2, hidden: 16, heads: 2, ffn: 32}}, distinct_lists: 64, steps: 12,
     lists_per_step: 8, learning_rate: 2.0e-3, precision: f32}}
  - {{id: teacher-bf16, method: derive, parents: {{base: teacher}}, format: bf16}}
profiles:
  shorter: {{methods: {{fine_tune: {{steps: 2}}}}, stages: {{teacher-bf16: false}}}}
"""
