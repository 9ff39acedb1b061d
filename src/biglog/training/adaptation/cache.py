"""What a frozen encoder says of examples, computed once, and the loss of a head that reads it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from biglog.tasks.groups import Floats, Ints
from biglog.training.adaptation.examples import Examples
from biglog.training.adaptation.losses import weighted_loss
from biglog.training.adaptation.scoring import line_vectors, windows
from biglog.training.adaptation.tokens import FormTokens


class Cache:
    """What the encoder says of examples, and the loss of the head on some of them.

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
        self._row_weights, self._of_classes = self._weights.numpy(), class_weights.float().numpy()
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

    @property
    def is_linear(self) -> bool:
        """Whether the head is a linear layer on what is cached."""
        return self._head != "window"

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Label of each line or word, shape (items,)."""
        return self._labels.numpy()

    def read(self) -> NDArray[np.float32]:
        """What a linear head reads of each line or word, with a one at the end: shape (items, hidden + 1)."""
        vectors = self._vectors.numpy()
        return np.concatenate([vectors, np.ones((len(vectors), 1), dtype=np.float32)], axis=1)

    def weighed(self, rows: Ints) -> tuple[Ints, NDArray[np.float32], int]:
        """Says which lines or words a batch of rows has.

        Args:
            rows: Example of each row.

        Returns:
            Which, the weight of each, and how many there are, equal ones counted as often as they come.
        """
        if len(rows) < len(self._sizes):
            numbers, weights = rows, self._row_weights[rows]
        else:
            counts = np.bincount(rows, minlength=len(self._sizes))
            numbers = np.flatnonzero(counts)
            weights = self._row_weights[numbers] * counts[numbers].astype(np.float32)
        total = int(self._sizes[rows].sum())
        if self._head == "token":
            numbers, weights = self._words(numbers), np.repeat(weights, self._sizes[numbers])
        return numbers, weights * self._of_classes[self.labels[numbers]], total

    def _words(self, numbers: Ints) -> Ints:
        """The labelled words of examples, one after the other."""
        sizes = self._sizes[numbers]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return np.repeat(self._starts[numbers], sizes) + within

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
            weights = weights.repeat_interleave(torch.from_numpy(self._sizes[numbers]))
            chosen = torch.from_numpy(self._words(numbers))
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
