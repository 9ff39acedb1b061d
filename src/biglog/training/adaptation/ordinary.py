"""The ordinary loop, by the library's Trainer: for adapters, for full tuning, and to check the cached one."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset, Sampler
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from biglog.errors import InputError
from biglog.tasks.groups import Floats
from biglog.training.adaptation.arguments import AdaptArguments
from biglog.training.adaptation.cached import Learnt, thinned
from biglog.training.adaptation.examples import Examples
from biglog.training.adaptation.losses import WeighedModel
from biglog.training.adaptation.order import EpochOrder
from biglog.training.adaptation.scoring import answers, weighted_mean_loss
from biglog.training.adaptation.tokens import FormTokens
from biglog.training.trackers import trackers

CHECKPOINTS = "checkpoints"
"""Folder of a run's checkpoints, inside of its output; it goes when the run is done."""


HeldLoss = Callable[[Any], float]
"""The loss of a model on what is held out."""


class Rows(Dataset[int]):
    """The example of each row.

    Args:
        examples: The examples.
    """

    def __init__(self, examples: Examples) -> None:
        self._rows = examples.rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> int:
        return int(self._rows[row])


class RowCollator:
    """Lays out rows as what `WeighedModel` takes.

    Args:
        tokens: Of the examples' forms.
        examples: The examples.
        head: `sequence`, `token` or `window`.
        weights: Of each example.
        once: Give each form of a batch once. False gives every line of every row, as is usual.
    """

    def __init__(
        self, tokens: FormTokens, examples: Examples, head: str, weights: Floats, *, once: bool = True
    ) -> None:
        self._tokens, self._examples, self._head, self._once = tokens, examples, head, once
        self._weights = torch.from_numpy(weights).float()

    def __call__(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        """Returns a batch of the examples with these numbers."""
        codes = [self._examples.codes(number) for number in numbers]
        batch = self._lines(codes) if self._once else self._plain(codes)
        batch["weights"] = self._weights[list(numbers)]
        batch["labels"] = self._labels(numbers, codes, batch["input_ids"].shape[-1])
        return batch

    def _lines(self, codes: Sequence[np.ndarray]) -> dict[str, Tensor]:
        distinct, places = np.unique(np.concatenate(codes), return_inverse=True)
        batch = self._tokens.batch(distinct.tolist())
        index = torch.from_numpy(places.reshape(-1)).split([len(line) for line in codes])
        if self._head != "window":
            return batch | {"line_index": torch.cat(index)}
        mask = [torch.ones_like(line) for line in index]
        return batch | {
            "line_index": pad_sequence(list(index), batch_first=True),
            "line_mask": pad_sequence(mask, batch_first=True),
        }

    def _plain(self, codes: Sequence[np.ndarray]) -> dict[str, Tensor]:
        if self._head != "window":
            return self._tokens.batch([int(line[0]) for line in codes])
        flat = self._tokens.batch(np.concatenate(codes).tolist())
        longest, tokens = max(len(line) for line in codes), flat["input_ids"].shape[1]
        laid = {name: torch.zeros(len(codes), longest, tokens, dtype=torch.long) for name in flat}
        at = 0
        for row, line in enumerate(codes):
            for name, values in flat.items():
                laid[name][row, : len(line)] = values[at : at + len(line)]
            at += len(line)
        return laid

    def _labels(self, numbers: Sequence[int], codes: Sequence[np.ndarray], length: int) -> Tensor:
        labels = [self._examples.labels[number] for number in numbers]
        if self._head == "token":
            spread = self._tokens.word_labels
            told = zip(codes, labels, strict=True)
            labels = [spread(int(line[0]), answer, length) for line, answer in told]
            return torch.from_numpy(np.stack(labels))
        return torch.from_numpy(np.concatenate(labels))


class AdaptTrainer(Trainer):
    """The library's Trainer, with rows in the order that all loops agree on, and the whole of what is held
    out scored at once."""

    def __init__(self, *, order: EpochOrder, held_loss: HeldLoss | None = None, **kwargs: Any) -> None:
        self._order, self._held_loss = order, held_loss
        super().__init__(**kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return self._order

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Tensor:
        """Stops when the loss is no number."""
        loss = super().training_step(model, inputs, *args, **kwargs)
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss is no number at step {self.state.global_step + 1}",
                where=self.args.output_dir,
                remedy="Give a lower learning_rate",
            )
        return loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Takes the loss on what is held out, every process the whole of it."""
        assert self._held_loss is not None
        metrics = {"eval_loss": self._held_loss(self.accelerator.unwrap_model(self.model))}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def train_ordinary(
    model: WeighedModel,
    examples: Examples,
    collator: RowCollator,
    held: tuple[FormTokens, Examples] | None,
    arguments: AdaptArguments,
    last: Path | None = None,
) -> Learnt:
    """Trains by the library's Trainer.

    Args:
        model: Changed in place.
        examples: What is learnt from.
        collator: Of the examples.
        held: What decides when to stop; None for nothing.
        arguments: Of the run.
        last: Checkpoint to go on from.
    """

    def held_loss(trained: WeighedModel) -> float:
        assert held is not None
        found = answers(trained.model, trained.head, *held)
        return weighted_mean_loss(found, held[1], cast(Tensor, trained.class_weights))

    trainer = AdaptTrainer(
        order=EpochOrder(len(examples.rows), arguments.seed),
        held_loss=held_loss,
        model=model,
        args=trainer_arguments(arguments, evaluates=held is not None),
        train_dataset=Rows(examples),
        eval_dataset=None if held is None else Rows(held[1]),
        data_collator=collator,
        callbacks=stopping(arguments),
    )
    return run_trainer(trainer, last)


def stopping(arguments: AdaptArguments) -> list[Any]:
    """The callback that stops early, if that is asked for."""
    return [EarlyStoppingCallback(arguments.patience)] if arguments.patience else []


def run_trainer(trainer: Trainer, last: Path | None) -> Learnt:
    """Trains, and says what was done.

    Args:
        trainer: Ready for its `train`.
        last: Checkpoint to go on from.
    """
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
    state = trainer.state
    names = {"loss": "loss", "eval_loss": "held_out_loss"}
    curve = [
        {"epoch": float(entry["epoch"])}
        | {ours: entry[name] for name, ours in names.items() if name in entry}
        for entry in state.log_history
        if names.keys() & entry.keys()
    ]
    best = None
    if trainer.args.load_best_model_at_end and state.best_metric is not None:
        best = next(
            point["epoch"] for point in curve if point.get("held_out_loss", math.nan) == state.best_metric
        )
    return Learnt(state.global_step, float(state.epoch or 0.0), best, thinned(curve))


def trainer_arguments(arguments: AdaptArguments, *, evaluates: bool) -> TrainingArguments:
    """Says it as the library's Trainer wants it."""
    early = bool(arguments.patience)
    saving = "epoch" if early else "steps" if arguments.save_steps else "no"
    return TrainingArguments(
        output_dir=str(Path(arguments.output_path) / CHECKPOINTS),
        num_train_epochs=arguments.epochs,
        per_device_train_batch_size=arguments.batch_size,
        gradient_accumulation_steps=arguments.gradient_accumulation_steps,
        learning_rate=arguments.rate,
        lr_scheduler_type=arguments.lr_scheduler,
        warmup_steps=arguments.warmup_ratio,
        weight_decay=arguments.weight_decay,
        max_grad_norm=arguments.max_grad_norm,
        eval_strategy="epoch" if evaluates and early else "no",
        save_strategy=saving,
        save_steps=arguments.save_steps or 500,
        save_total_limit=arguments.save_total_limit,
        load_best_model_at_end=early,
        metric_for_best_model="eval_loss" if early else None,
        greater_is_better=False if early else None,
        logging_steps=arguments.logging_steps,
        seed=arguments.seed,
        bf16=arguments.bf16,
        fp16=arguments.fp16,
        use_cpu=arguments.use_cpu,
        dataloader_num_workers=arguments.loader_workers,
        dataloader_pin_memory=torch.cuda.is_available() and not arguments.use_cpu,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=list(trackers(arguments.report_to)),
        disable_tqdm=not sys.stderr.isatty(),
    )
