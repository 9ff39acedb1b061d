"""How much rows and classes count in the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from biglog.errors import InputError
from biglog.tasks.groups import Floats
from biglog.training.adaptation.arguments import AdaptArguments
from biglog.training.adaptation.examples import Examples


def weights_of(examples: Examples, arguments: AdaptArguments) -> tuple[Floats, Floats]:
    """Weights by which losses count.

    Args:
        examples: What is learnt from.
        arguments: Say how rows and classes are weighed.

    Returns:
        Weight of each example, shape (examples,), and of each class, shape (classes,). Over all labels of all
        rows their product is 1 in the mean.

    Raises:
        InputError: A class weight is for no class, or no positive number.
    """
    size = np.array([len(labels) for labels in examples.labels], dtype=np.float64)
    weight = np.ones(len(examples))
    if arguments.distinct:
        weight = examples.counts.astype(np.float64) ** arguments.count_power
        weight *= size.sum() / (weight * size).sum()
    seen = examples.class_counts(weight if arguments.distinct else None)
    of_class = _class_weights(arguments.class_weights, examples.classes, seen)
    return weight, of_class * seen.sum() / max((of_class * seen).sum(), 1e-9)


def _class_weights(given: Sequence[str], classes: Sequence[str], seen: Floats) -> Floats:
    if tuple(given) == ("balanced",):
        return np.where(seen > 0, seen.sum() / np.maximum(seen, 1e-9) / max((seen > 0).sum(), 1), 0.0)
    weights: Mapping[str, float] = dict(map(_weight, given))
    for name in weights:
        if name not in classes:
            remedy = f"Classes are {', '.join(classes)}"
            raise InputError(f"class_weights names {name!r}, which is no class", remedy=remedy)
    return np.array([weights.get(name, 1.0) for name in classes])


def _weight(given: str) -> tuple[str, float]:
    name, _, text = given.rpartition("=")
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not name or not 0 < weight < float("inf"):
        remedy = "Write `balanced`, or CLASS=WEIGHT with a positive number"
        raise InputError(f"class_weights cannot be {given!r}", remedy=remedy)
    return name, weight
