"""Frozen training: each form is computed once, and the head learns from what was computed.

It is the ordinary loop, step by step: the same order of rows, the same batches, the same schedule and
optimizer, the very module of the model's head. A row of a batch is a number here, and rows that are equal are
computed once, times how many they are; so the head that results is the same, and rounding is all that can
differ. (With dropout, equal rows of a batch share their draw.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from biglog.errors import InputError
from biglog.training.adaptation.arguments import AdaptArguments
from biglog.training.adaptation.cache import Cache
from biglog.training.adaptation.examples import Examples
from biglog.training.adaptation.losses import trained_weights
from biglog.training.adaptation.order import epoch_order
from biglog.training.adaptation.steps import steps_of

_NO_DECAY = ("bias", "norm")


@dataclass
class Learnt:
    """What a training did.

    Attributes:
        steps: Optimizer steps.
        epochs: Passes over the rows.
        best_epoch: The epoch whose weights were kept; None for the last.
        curve: Points of the loss: `epoch`, `loss`, and `held_out_loss` where rows are held out.
    """

    steps: int = 0
    epochs: float = 0.0
    best_epoch: float | None = None
    curve: list[dict[str, float]] = field(default_factory=list)


def train_cached(
    model: nn.Module,
    cache: Cache,
    examples: Examples,
    held: tuple[Cache, Examples] | None,
    arguments: AdaptArguments,
    progress: Callable[[int, int], None] | None = None,
) -> Learnt:
    """Trains the head.

    Args:
        model: With the head; changed in place.
        cache: Of the examples.
        examples: What is learnt from.
        held: What decides when to stop; None for nothing.
        arguments: Of the run.
        progress: Called with how many steps of how many.
    """
    rows = examples.rows
    size = arguments.batch_size * arguments.gradient_accumulation_steps or len(rows)
    per_epoch = math.ceil(len(rows) / size)
    steps = math.ceil(arguments.epochs * per_epoch)
    learnt, best = Learnt(), _Best(model, arguments.patience)
    model.train()
    taking = steps_of(model, cache, arguments, steps)
    for epoch in range(math.ceil(arguments.epochs)):
        # A step that sees all rows does not care for their order.
        order = rows if per_epoch == 1 else rows[epoch_order(len(rows), arguments.seed, epoch)]
        batches = [order[at : at + size] for at in range(0, len(rows), size)][: steps - learnt.steps]
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is no number is told below
            losses = [taking.step(batch) for batch in batches]
        learnt.steps += len(losses)
        learnt.epochs = learnt.steps / per_epoch
        point = {"epoch": learnt.epochs, "loss": sum(losses) / len(losses)}
        if not math.isfinite(point["loss"]):
            problem = f"the loss is no number in epoch {epoch + 1}"
            raise InputError(problem, remedy="Give a lower learning_rate")
        taking.write()
        stop = False
        if held is not None and (arguments.patience or learnt.steps >= steps):
            point["held_out_loss"] = _held_out_loss(model, *held)
            stop = best.told(point["held_out_loss"], learnt.epochs)
        learnt.curve.append(point)
        if progress is not None:
            progress(learnt.steps, steps)
        if stop:
            break
    learnt.best_epoch = best.restore()
    learnt.curve = thinned(learnt.curve)
    model.eval()
    return learnt


def thinned(curve: list[dict[str, float]], most: int = 100) -> list[dict[str, float]]:
    """Some of the points of a curve, the last one among them."""
    step = -(-len(curve) // most) or 1
    return [point for number, point in enumerate(reversed(curve)) if number % step == 0][::-1]


@torch.no_grad()
def _held_out_loss(model: nn.Module, cache: Cache, examples: Examples) -> float:
    model.eval()
    total, labels, counts = 0.0, 0, examples.counts
    sizes = np.array([len(one) for one in examples.labels])
    for at in range(0, len(examples), 256):
        numbers = np.arange(at, min(at + 256, len(examples)))
        count = int((counts[numbers] * sizes[numbers]).sum())
        total, labels = total + float(cache.loss_of(numbers, counts[numbers])) * count, labels + count
    model.train()
    return total / labels


class _Best:
    """Remembers the weights that had the least loss on what is held out."""

    def __init__(self, model: nn.Module, patience: int) -> None:
        self._weights, self._patience = trained_weights(model), patience
        self._kept: list[Tensor] | None = None
        self._least, self._waited, self._epoch = math.inf, 0, 0.0

    def told(self, loss: float, epoch: float) -> bool:
        """Takes a loss, and says whether too many were no better."""
        if not self._patience:
            return False
        self._waited += 1
        if loss < self._least:
            self._least, self._waited, self._epoch = loss, 0, epoch
            self._kept = [weight.detach().clone() for weight in self._weights]
        return self._waited >= self._patience

    def restore(self) -> float | None:
        """Gives the model the best weights back, and says of which epoch they are."""
        if self._kept is None:
            return None
        with torch.no_grad():
            for weight, before in zip(self._weights, self._kept, strict=True):
                weight.copy_(before)
        return self._epoch
