"""Head mlm: an encoder goes on learning masked tokens, on a user's own lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from biglog.data.collators import IGNORED, MaskedLanguageCollator, Row, Segments
from biglog.training.adaptation.arguments import AdaptArguments
from biglog.training.adaptation.cached import Learnt
from biglog.training.adaptation.order import EpochOrder
from biglog.training.adaptation.ordinary import AdaptTrainer, run_trainer, stopping, trainer_arguments

_HELD_OUT_SEED: Final = 20_231
"""Of the masks on what is held out: the same at every evaluation."""

_AT_ONCE: Final = 64


class LineRows(Dataset[Row]):
    """Lines, each with masks of its own in every epoch.

    Args:
        segments: The lines.
        order: Knows the epoch; None for masks that never change.
    """

    def __init__(self, segments: Segments, order: EpochOrder | None = None) -> None:
        self._segments, self._order = segments, order

    def __len__(self) -> int:
        return len(self._segments)

    def __getitem__(self, line: int) -> Row:
        epoch = 0 if self._order is None else self._order.epoch
        return {"segments": [self._segments[line]], "draw": epoch * len(self) + line}


def segments_of(forms: Sequence[str], tokenizer: PreTrainedTokenizerFast, model: Any) -> Segments:
    """Reads normal forms; longer ones are cut into windows, and nothing is dropped."""
    longest = min(int(model.config.max_position_embeddings), tokenizer.model_max_length)
    return Segments(forms, tokenizer, longest)


def train_language(
    model: nn.Module,
    learnt: Segments,
    held: Segments | None,
    tokenizer: PreTrainedTokenizerFast,
    arguments: AdaptArguments,
    last: Path | None = None,
) -> Learnt:
    """Trains by the library's Trainer.

    Args:
        model: A `BigLogForMaskedLM`, perhaps with adapters; changed in place.
        learnt: What is learnt from.
        held: What decides when to stop; None for nothing.
        tokenizer: The encoder's.
        arguments: Of the run.
        last: Checkpoint to go on from.
    """
    order = EpochOrder(len(learnt), arguments.seed)

    def held_loss(trained: nn.Module) -> float:
        assert held is not None
        return float(language_score(trained, held, tokenizer, arguments)["loss"])

    trainer = AdaptTrainer(
        order=order,
        held_loss=held_loss,
        model=model,
        args=trainer_arguments(arguments, evaluates=held is not None),
        train_dataset=LineRows(learnt, order),
        eval_dataset=None if held is None else LineRows(held),
        data_collator=MaskedLanguageCollator(
            tokenizer, arguments.mlm_probability, arguments.masking, seed=arguments.seed
        ),
        callbacks=stopping(arguments),
    )
    return run_trainer(trainer, last)


@torch.no_grad()
def language_score(
    model: nn.Module, lines: Segments, tokenizer: PreTrainedTokenizerFast, arguments: AdaptArguments
) -> dict[str, Any]:
    """Scores guesses of masked tokens, by masks that are always the same.

    Returns:
        `labels` (masked tokens), `loss` (mean cross-entropy) and `accuracy`.
    """
    collator = MaskedLanguageCollator(
        tokenizer, arguments.mlm_probability, arguments.masking, seed=_HELD_OUT_SEED
    )
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    rows, total, right, count = LineRows(lines), 0.0, 0, 0
    # Like lengths together: padding costs.
    order = np.argsort([len(lines[line]) for line in range(len(lines))], kind="stable")
    for at in range(0, len(order), _AT_ONCE):
        batch = collator([rows[int(line)] for line in order[at : at + _AT_ONCE]])
        inputs = {name: value.to(device) for name, value in batch.items()}
        labels = inputs["labels"]
        masked = int(labels.ne(IGNORED).sum())
        output = model(**inputs)
        total, count = total + float(output.loss) * masked, count + masked
        right += int((output.logits.argmax(dim=-1) == labels)[labels.ne(IGNORED)].sum())
    model.train(was_training)
    return {"labels": count, "loss": total / max(count, 1), "accuracy": right / max(count, 1)}
