# SPDX-License-Identifier: Apache-2.0
"""The methods by name, in the groups that are commands of the command line."""

from tailor_compress.elastic.method import Elastic
from tailor_compress.errors import TailorError
from tailor_compress.ladder.basic import Derive, FineTune, NewStudent
from tailor_compress.linear.method import LinearFloor
from tailor_compress.method import Method
from tailor_compress.pruning.heads import PruneHeads
from tailor_compress.pruning.neurons import PruneNeurons
from tailor_compress.settings import nearest

COMMANDS: dict[str, dict[str, type[Method]]] = {
    "train": {"fine_tune": FineTune},
    "distil": {"listwise": NewStudent, "linear": LinearFloor},
    "prune": {"heads": PruneHeads, "neurons": PruneNeurons},
    "quantize": {"derive": Derive},
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
