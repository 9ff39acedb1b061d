"""What an adapted model answers, and how well: every distinct form is computed once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_fscore_support
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from biglog.training.adaptation.examples import Examples
from biglog.training.adaptation.losses import encoder_of, unwrapped
from biglog.training.adaptation.tokens import FormTokens

WINDOWS_AT_ONCE = 256

Logits = list[NDArray[np.float32]]
"""Logits of each example, shape (labels, classes); of words that were cut off, NaN."""


@torch.no_grad()
def line_vectors(model: nn.Module, tokens: FormTokens) -> Tensor:
    """Embeds each form once, shape (forms, hidden), float32, on the CPU."""
    encoder = encoder_of(model)
    was_training = encoder.training
    encoder.eval()
    device, found = next(encoder.parameters()).device, None
    for batch in tokens.batches():
        inputs = {name: value.to(device) for name, value in tokens.batch(batch).items()}
        pooled = encoder(**inputs).pooler_output.float().cpu()
        if found is None:
            found = torch.empty(len(tokens), pooled.shape[1])
        found[batch] = pooled
    encoder.train(was_training)
    assert found is not None
    return found


@torch.no_grad()
def answers(model: nn.Module, head: str, tokens: FormTokens, examples: Examples) -> Logits:
    """Answers examples, in evaluation mode.

    Args:
        model: With the head, perhaps with adapters.
        head: `sequence`, `token` or `window`.
        tokens: Of the examples' forms.
        examples: What is asked.
    """
    was_training = model.training
    model.eval()
    try:
        if head == "window":
            return _window_answers(model, line_vectors(model, tokens), examples)
        return _line_answers(model, head, tokens, examples)
    finally:
        model.train(was_training)


def _line_answers(model: nn.Module, head: str, tokens: FormTokens, examples: Examples) -> Logits:
    device = next(model.parameters()).device
    of_form: Logits = [np.zeros((0, 0), np.float32)] * len(tokens)
    for batch in tokens.batches():
        inputs = {name: value.to(device) for name, value in tokens.batch(batch).items()}
        logits = model(**inputs).logits.float().cpu().numpy()
        for form, row in zip(batch, logits, strict=True):
            of_form[form] = _of_words(row, tokens.firsts[form]) if head == "token" else row[None]
    return [of_form[int(examples.codes(number)[0])] for number in range(len(examples))]


def _of_words(row: NDArray[np.float32], firsts: NDArray[np.int64]) -> NDArray[np.float32]:
    found = row[np.maximum(firsts, 0)]
    found[firsts < 0] = np.nan
    return found


def windows(vectors: Tensor, examples: Examples, numbers: NDArray[Any]) -> tuple[Tensor, Tensor]:
    """Lays out windows as embeddings of their lines.

    Returns:
        line_embeddings (windows, lines, hidden), and line_mask (windows, lines).
    """
    codes = [torch.from_numpy(examples.codes(int(number)).astype(np.int64)) for number in numbers]
    index = pad_sequence(codes, batch_first=True)
    mask = pad_sequence([torch.ones_like(row) for row in codes], batch_first=True)
    return functional.embedding(index, vectors) * mask.unsqueeze(-1), mask


def _window_answers(model: nn.Module, vectors: Tensor, examples: Examples) -> Logits:
    device = next(model.parameters()).device
    found: Logits = [np.zeros((0, 0), np.float32)] * len(examples)
    order = np.argsort(examples.groups.sizes, kind="stable")
    for at in range(0, len(order), WINDOWS_AT_ONCE):
        batch = order[at : at + WINDOWS_AT_ONCE]
        lines, mask = windows(vectors, examples, batch)
        logits = unwrapped(model)(line_embeddings=lines.to(device), line_mask=mask.to(device)).logits
        for number, row in zip(batch.tolist(), logits.float().cpu().numpy(), strict=True):
            found[number] = row[None]
    return found


def scored(logits: Logits, examples: Examples) -> dict[str, Any]:
    """Scores answers over the labels of all rows.

    Args:
        logits: As `answers` returns them.
        examples: With their labels.

    Returns:
        `labels` (how many), `loss` (mean cross-entropy, without any weights), `accuracy`,
        `balanced_accuracy` and `macro_f1` over the classes that occur, `average_precision` of the second of
        two classes, `classes` (precision, recall, f1 and support of each), and `majority`, the same of the
        rule that always names the most frequent class. A word that was cut off counts as the first class.
    """
    table = np.nan_to_num(np.concatenate(logits).astype(np.float64))
    truth = np.concatenate(examples.labels)
    sizes = [len(labels) for labels in examples.labels]
    weight = np.repeat(examples.counts, sizes).astype(np.float64)
    found = _figures(truth, table.argmax(axis=1), weight, examples.classes)
    shifted = table - table.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(truth)), truth]
    found |= {"labels": int(weight.sum()), "loss": float((losses * weight).sum() / weight.sum())}
    if len(examples.classes) == 2 and len(np.unique(truth)) == 2:
        margin = table[:, 1] - table[:, 0]
        found["average_precision"] = float(average_precision_score(truth, margin, sample_weight=weight))
    common = int(examples.class_counts().argmax())
    rule = _figures(truth, np.full(len(truth), common), weight, examples.classes)
    found["majority"] = {name: rule[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")}
    return found


def weighted_mean_loss(logits: Logits, examples: Examples, class_weights: Tensor) -> float:
    """Mean cross-entropy over the labels of all rows, each times the weight of its class, as training has it.

    Words that were cut off are left out.
    """
    table = torch.from_numpy(np.concatenate(logits)).double()
    truth = torch.from_numpy(np.concatenate(examples.labels))
    sizes = [len(labels) for labels in examples.labels]
    counts = torch.from_numpy(np.repeat(examples.counts, sizes)).double()
    there = ~table.isnan().any(dim=1)
    losses = functional.cross_entropy(table[there], truth[there], reduction="none")
    total = (losses * class_weights.double().cpu()[truth[there]] * counts[there]).sum()
    return float(total / counts[there].sum())


def _figures(
    truth: NDArray[Any], said: NDArray[Any], weight: NDArray[np.float64], classes: tuple[str, ...]
) -> dict[str, Any]:
    numbers = np.arange(len(classes))
    parts = precision_recall_fscore_support(
        truth, said, labels=numbers, sample_weight=weight, zero_division=0.0
    )
    precision, recall, f1, support = (np.asarray(part, dtype=np.float64) for part in parts)
    there = support > 0
    return {
        "accuracy": float(((truth == said) * weight).sum() / weight.sum()),
        "balanced_accuracy": float(recall[there].mean()),
        "macro_f1": float(f1[there].mean()),
        "classes": {
            name: {
                "precision": float(precision[number]),
                "recall": float(recall[number]),
                "f1": float(f1[number]),
                "support": int(support[number]),
            }
            for number, name in enumerate(classes)
        },
    }
