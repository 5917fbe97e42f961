# SPDX-License-Identifier: Apache-2.0
"""Published distillations as settings of one flow."""

from dataclasses import dataclass

from tailor_compress.distillation.mapping import Mapping
from tailor_compress.distillation.terms import MASKED_WORDS, Mix, Term
from tailor_compress.model.layers import Pick


@dataclass(frozen=True)
class Preset:
    """Losses with their temperature and mix, the layer map, and the layers to start from."""

    losses: tuple[Term, ...]
    temperature: float = 2.0
    mix: Mix = "constant"
    mapping: Mapping = "uniform"
    pick: Pick = "bottom"


_SCORES = (Term("kl"), Term("hard", 0.2))

PRESETS: dict[str, Preset] = {
    # Hinton et al. (2015), over the candidates of a query.
    "listwise": Preset(_SCORES),
    # Ba and Caruana (2014); the natural loss for one logit.
    "mse": Preset((Term("mse"),)),
    # Hofstaetter et al. (2020).
    "margin_mse": Preset((Term("margin_mse"),)),
    # Guo et al. (2020), spherical knowledge distillation.
    "spherical": Preset((Term("spherical"), Term("hard", 0.2))),
    # Clark et al. (2019), BAM's teacher annealing: from the teacher's target to the right one.
    "annealed": Preset((Term("soft_cross_entropy"), Term("hard")), 1.0, "linear"),
    # Sun et al. (2019), BERT-PKD; alpha 0.7 and two layer maps.
    "pkd_skip": Preset((Term("kl", 0.7), Term("hard", 0.3), Term("pkd")), mapping="skip"),
    "pkd_last": Preset((Term("kl", 0.7), Term("hard", 0.3), Term("pkd")), mapping="last"),
    # Sanh et al. (2019): 5 KL + 2 words + 1 cosine, every second layer. The KL is over candidates:
    # a ranker's teacher has no distribution over words.
    "distilbert": Preset(
        (Term("kl", 5.0), Term(MASKED_WORDS, 2.0), Term("cosine")), mapping="final", pick="interval"
    ),
    # Wang et al. (2021), MiniLMv2's relations, with the losses on scores for the head's sake.
    "minilm": Preset((*_SCORES, Term("relations")), mapping="final"),
    # Jiao et al. (2020), TinyBERT's losses all at once; the flow `tiny_bert` takes them in stages.
    "tiny_bert": Preset(
        (Term("embedding"), Term("hidden"), Term("attention"), Term("kl")), temperature=1.0
    ),
    # For narrow word vectors: what they are mapped to is held near the teacher's.
    "embedding": Preset((*_SCORES, Term("embedding"))),
}
