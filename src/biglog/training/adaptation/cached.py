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
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import get_scheduler

from biglog.errors import InputError
from biglog.tasks.groups import Floats, Ints
from biglog.training.adaptation.arguments import AdaptArguments
from biglog.training.adaptation.examples import Examples
from biglog.training.adaptation.losses import trained_weights, weighted_loss
from biglog.training.adaptation.order import epoch_order
from biglog.training.adaptation.scoring import line_vectors, windows
from biglog.training.adaptation.tokens import FormTokens

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


class Cache:
    """What the encoder says of examples, computed once, and the loss of the head on some of them.

    Args:
        model: With the head; its encoder is frozen.
        head: `sequence`, `token` or `window`.
        tokens: Of the examples' forms.
        examples: The examples.
        weights: Of each example.
        class_weights: Of each class.
    """

    def __init__(
        self,
        model: nn.Module,
        head: str,
        tokens: FormTokens,
        examples: Examples,
        weights: Floats,
        class_weights: Tensor,
    ) -> None:
        self._model: Any = model
        self._head, self._examples, self._class_weights = head, examples, class_weights
        self._weights = torch.from_numpy(weights).float()
        if head == "token":
            self._lay_out_words(tokens)
        else:
            self._vectors = line_vectors(model, tokens)
            self._labels = torch.from_numpy(np.concatenate(examples.labels))
            self._sizes = np.ones(len(examples), dtype=np.int64)
        if head == "sequence":
            self._vectors = self._vectors[examples.groups.codes.astype(np.int64)]

    def _lay_out_words(self, tokens: FormTokens) -> None:
        """Token states at the first token of each labelled word, examples one after the other."""
        states = _word_states(self._model, tokens)
        rows, labels, sizes = [], [], []
        for number in range(len(self._examples)):
            form = int(self._examples.codes(number)[0])
            there = tokens.firsts[form] >= 0
            rows.append(states[form])
            labels.append(self._examples.labels[number][there])
            sizes.append(int(there.sum()))
        self._vectors, self._sizes = torch.cat(rows), np.array(sizes)
        self._labels = torch.from_numpy(np.concatenate(labels))
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)])

    def loss(self, rows: Ints) -> Tensor:
        """The loss of a batch.

        Args:
            rows: Example of each row.
        """
        numbers, counts = np.unique(rows, return_counts=True)
        return self.loss_of(numbers, counts)

    def loss_of(self, numbers: Ints, counts: Ints) -> Tensor:
        """The loss of distinct examples.

        Args:
            numbers: Which.
            counts: How many rows each stands for.
        """
        chosen = torch.from_numpy(numbers)
        weights = self._weights[chosen] * torch.from_numpy(counts)
        total = int((counts * self._sizes[numbers]).sum())
        if self._head == "window":
            lines, mask = windows(self._vectors, self._examples, numbers)
            logits = self._model(line_embeddings=lines, line_mask=mask).logits
            return weighted_loss(logits, self._labels[chosen], weights, self._class_weights, total)
        if self._head == "token":
            sizes = self._sizes[numbers]
            within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            weights = weights.repeat_interleave(torch.from_numpy(sizes))
            chosen = torch.from_numpy(np.repeat(self._starts[numbers], sizes) + within)
        logits = self._model.classifier(self._model.dropout(self._vectors[chosen]))
        return weighted_loss(logits, self._labels[chosen], weights, self._class_weights, total)


@torch.no_grad()
def _word_states(model: Any, tokens: FormTokens) -> list[Tensor]:
    model.bert.eval()
    device = next(model.parameters()).device
    found: list[Tensor] = [torch.zeros(0)] * len(tokens)
    for batch in tokens.batches():
        inputs = {name: value.to(device) for name, value in tokens.batch(batch).items()}
        states = model.bert(**inputs).last_hidden_state.float().cpu()
        for form, row in zip(batch, states, strict=True):
            firsts = tokens.firsts[form]
            found[form] = row[torch.from_numpy(firsts[firsts >= 0])].clone()
    return found


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
    optimizer, schedule = _optimizer(model, arguments, steps)
    weights, learnt, best = trained_weights(model), Learnt(), _Best(model, arguments.patience)
    whole = (np.arange(len(examples)), examples.counts) if size >= len(rows) else None
    model.train()
    for epoch in range(math.ceil(arguments.epochs)):
        order = rows if whole else rows[epoch_order(len(rows), arguments.seed, epoch)]
        summed, done = torch.zeros(()), 0
        for at in range(0, len(rows), size):
            loss = cache.loss_of(*whole) if whole else cache.loss(order[at : at + size])
            optimizer.zero_grad()
            loss.backward()
            if arguments.max_grad_norm:
                torch.nn.utils.clip_grad_norm_(weights, arguments.max_grad_norm)
            optimizer.step()
            schedule.step()
            learnt.steps, summed, done = learnt.steps + 1, summed + loss.detach(), done + 1
            if learnt.steps >= steps:
                break
        learnt.epochs = learnt.steps / per_epoch
        point = {"epoch": learnt.epochs, "loss": float(summed) / done}
        if not math.isfinite(point["loss"]):
            problem = f"the loss is no number in epoch {epoch + 1}"
            raise InputError(problem, remedy="Give a lower learning_rate")
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


def _optimizer(model: nn.Module, arguments: AdaptArguments, steps: int) -> tuple[Any, Any]:
    """What the Trainer makes: AdamW without decay of biases and normalisations, and the schedule."""
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    plain = [weight for name, weight in named if any(part in name.lower() for part in _NO_DECAY)]
    decayed = [weight for name, weight in named if all(part not in name.lower() for part in _NO_DECAY)]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": arguments.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ],
        lr=arguments.rate,
        fused=True,
    )
    warmup = math.ceil(steps * arguments.warmup_ratio)
    return optimizer, get_scheduler(arguments.lr_scheduler, optimizer, warmup, steps)


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
