# SPDX-License-Identifier: Apache-2.0
"""The methods by name, in the groups that are commands of the command line."""

from tailor_compress.distillation.distil import Distil
from tailor_compress.distillation.ensemble import EnsembleDistil
from tailor_compress.distillation.tiny_bert import TinyBert
from tailor_compress.elastic.method import Elastic
from tailor_compress.errors import TailorError
from tailor_compress.ladder.basic import Derive, FineTune
from tailor_compress.linear.method import LinearFloor
from tailor_compress.method import Method
from tailor_compress.pruning.fisher import PruneFisher
from tailor_compress.pruning.heads import PruneHeads
from tailor_compress.pruning.magnitude import PruneMagnitude
from tailor_compress.pruning.neurons import PruneNeurons
from tailor_compress.quantization.method import PostTraining, QuantizationAware
from tailor_compress.settings import nearest

COMMANDS: dict[str, dict[str, type[Method]]] = {
    "train": {"fine_tune": FineTune},
    "distil": {
        "distil": Distil,
        "tiny_bert": TinyBert,
        "ensemble": EnsembleDistil,
        "linear": LinearFloor,
    },
    "prune": {
        "fisher": PruneFisher,
        "heads": PruneHeads,
        "neurons": PruneNeurons,
        "magnitude": PruneMagnitude,
    },
    "quantize": {
        "post_training": PostTraining,
        "quantization_aware": QuantizationAware,
        "derive": Derive,
    },
    "elastic": {"dynabert": Elastic},
}

METHODS: dict[str, type[Method]] = {
    name: method for group in COMMANDS.values() for name, method in group.items()
}


def method_class(name: str) -> type[Method]:
    """Return a method's dataclass. Raises TailorError for an unknown name."""
    if name not in METHODS:
        raise TailorError("the name of a method", f"`{name}`", nearest(name, METHODS))
    return METHODS[name]
