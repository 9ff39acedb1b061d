"""Steps of a head on what was computed: by autograd for any head, in closed form for a linear one.

What a step of a linear head costs is not arithmetic but the calls around it. The gradient of its softmax is
known (probabilities less truth, times what the head reads), so that clipping and AdamW (Loshchilov and
Hutter, "Decoupled Weight Decay Regularization", ICLR 2019) are a few lines on one small array, as PyTorch
computes them.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import get_scheduler

from biglog.tasks.groups import Ints
from biglog.training.adaptation.arguments import AdaptArguments
from biglog.training.adaptation.cache import Cache
from biglog.training.adaptation.losses import trained_weights

_NO_DECAY = ("bias", "norm")
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


class Steps(Protocol):
    """Takes optimizer steps."""

    def step(self, rows: Ints) -> float:
        """Takes one on a batch of rows, given as the example of each, and returns its loss."""

    def write(self) -> None:
        """Puts the weights into the model, where they are not there at all times."""


def steps_of(model: Any, cache: Cache, arguments: AdaptArguments, steps: int) -> Steps:
    """Returns what takes the steps of a training.

    Args:
        model: With the head.
        cache: Of the examples.
        arguments: Of the run.
        steps: How many there will be, for the schedule.
    """
    linear = cache.is_linear and not model.dropout.p
    return (ClosedSteps if linear else AutogradSteps)(model, cache, arguments, steps)


class AutogradSteps:
    """Steps as the Trainer takes them.

    Args:
        model: With the head.
        cache: Of the examples.
        arguments: Of the run.
        steps: How many there will be.
    """

    def __init__(self, model: nn.Module, cache: Cache, arguments: AdaptArguments, steps: int) -> None:
        self._cache, self._most_norm = cache, arguments.max_grad_norm
        self._weights = trained_weights(model)
        self._optimizer, self._schedule = optimizer_of(model, arguments, steps)

    def step(self, rows: Ints) -> float:
        """Takes one; see `Steps`."""
        loss = self._cache.loss_of(*np.unique(rows, return_counts=True))
        self._optimizer.zero_grad()
        loss.backward()
        if self._most_norm:
            torch.nn.utils.clip_grad_norm_(self._weights, self._most_norm)
        self._optimizer.step()
        self._schedule.step()
        return float(loss.detach())

    def write(self) -> None:
        """Does nothing: the model's own weights are trained."""


class ClosedSteps:
    """The same steps for a linear head without dropout, in closed form.

    Args:
        model: With the head.
        cache: Of the examples.
        arguments: Of the run.
        steps: How many there will be.
    """

    def __init__(self, model: Any, cache: Cache, arguments: AdaptArguments, steps: int) -> None:
        self._cache, self._most_norm = cache, arguments.max_grad_norm
        self._head: Any = model.classifier
        weight, bias = (part.detach() for part in (self._head.weight, self._head.bias))
        # Weights and bias as one array; what the head reads has a one at its end.
        self._weights: NDArray[np.float32] = torch.cat([weight, bias[:, None]], dim=1).numpy().copy()
        self._decay = np.full(self._weights.shape[1], arguments.weight_decay, dtype=np.float32)
        self._decay[-1] = 0.0
        self._first, self._second = np.zeros_like(self._weights), np.zeros_like(self._weights)
        self._rate, self._count = arguments.rate, 0
        _, schedule = optimizer_of(model, arguments, steps)
        self._factor = schedule.lr_lambdas[0]
        self._read = cache.read()

    def step(self, rows: Ints) -> float:
        """Takes one; see `Steps`."""
        places, weights, total = self._cache.weighed(rows)
        read, labels = self._read[places], self._cache.labels[places]
        logits = read @ self._weights.T
        logits -= logits.max(axis=1, keepdims=True)
        chances = np.exp(logits)
        chances /= chances.sum(axis=1, keepdims=True)
        at = np.arange(len(labels))
        loss = -float(np.log(np.maximum(chances[at, labels], 1e-38)) @ weights) / total
        chances[at, labels] -= 1.0
        chances *= (weights / np.float32(total))[:, None]
        self._update(chances.T @ read)
        return loss

    def _update(self, gradient: NDArray[np.float32]) -> None:
        if self._most_norm:
            norm = math.sqrt(float(np.vdot(gradient, gradient)))
            if norm > self._most_norm:
                gradient *= self._most_norm / (norm + 1e-6)
        rate, (beta, gamma) = self._rate * self._factor(self._count), _BETAS
        self._count += 1
        self._weights *= 1.0 - rate * self._decay
        self._first += (1.0 - beta) * (gradient - self._first)
        self._second *= gamma
        self._second += (1.0 - gamma) * gradient * gradient
        divisor = np.sqrt(self._second)
        divisor /= math.sqrt(1.0 - gamma**self._count)
        divisor += _EPSILON
        self._weights -= rate / (1.0 - beta**self._count) * (self._first / divisor)

    def write(self) -> None:
        """Puts the weights into the model."""
        with torch.no_grad():
            self._head.weight.copy_(torch.from_numpy(self._weights[:, :-1]))
            self._head.bias.copy_(torch.from_numpy(self._weights[:, -1]))


def optimizer_of(model: nn.Module, arguments: AdaptArguments, steps: int) -> tuple[Any, Any]:
    """Returns what the Trainer makes: AdamW without decay of biases and normalisations, and the schedule.

    Args:
        model: With weights that learn.
        arguments: Of the run.
        steps: How many there will be.
    """
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    plain = [weight for name, weight in named if any(part in name.lower() for part in _NO_DECAY)]
    decayed = [weight for name, weight in named if all(part not in name.lower() for part in _NO_DECAY)]
    groups = [
        {"params": decayed, "weight_decay": arguments.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=arguments.rate, betas=_BETAS, eps=_EPSILON, fused=True)
    warmup = math.ceil(steps * arguments.warmup_ratio)
    return optimizer, get_scheduler(arguments.lr_scheduler, optimizer, warmup, steps)
