"""One short run of the real Trainer, to be compared with the same run cut differently; torchrun starts it,
too.

`torchrun --nproc_per_node 2 tests/trainer_run.py MICRO_BATCH ACCUMULATION OUTPUT CLASS ...`
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import tiny
import torch
from torch import Tensor
from transformers import Trainer, TrainingArguments

import modeling_biglog

ROWS = 16


def rows(name: str) -> list[dict[str, Tensor]]:
    """Sixteen training rows with very uneven numbers of labels: some rows have none at all."""
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(1, tiny.VOCABULARY, (ROWS, 8), generator=generator)
    counts = torch.tensor([0, 0, 8, 1] * (ROWS // 4))
    tokens = torch.where(torch.arange(8) < counts[:, None], ids, -100)
    answers = torch.where(torch.arange(ROWS) % 5 == 0, -100, torch.arange(ROWS) % 2)
    columns = {"input_ids": ids, "labels": answers}
    if name in ("BigLogForMaskedLM", "BigLogForPreTraining"):
        columns["labels"] = tokens
    if name == "BigLogForPreTraining":
        columns["line_order_labels"] = answers
    if name == "BigLogForTokenClassification":
        columns["labels"] = torch.where(tokens > 0, tokens % 2, -100)
    if name == "BigLogForWindowClassification":
        columns["input_ids"] = torch.randint(1, tiny.VOCABULARY, (ROWS, 3, 5), generator=generator)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def trainer(name: str, micro_batch: int, accumulation: int, folder: str, **arguments: Any) -> Trainer:
    """A Trainer over these rows, in order, with plain gradient descent."""
    settings = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=micro_batch,
        per_device_eval_batch_size=micro_batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=1,
        learning_rate=0.1,
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        optim="sgd",
        train_sampling_strategy="sequential",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **arguments,
    )
    model = tiny.build(getattr(modeling_biglog, name))
    return Trainer(model=model, args=settings, train_dataset=rows(name), eval_dataset=rows(name))


def run(name: str, micro_batch: int, accumulation: int, **arguments: Any) -> dict[str, Any]:
    """Trains and evaluates; returns the losses of both steps, the evaluation's, and sums over the weights."""
    with tempfile.TemporaryDirectory() as folder:
        # A Trainer that evaluates first does not synchronise gradients afterwards, so each task has its own.
        before = trainer(name, micro_batch, accumulation, folder, **arguments).evaluate()["eval_loss"]
        subject = trainer(name, micro_batch, accumulation, folder, **arguments)
        subject.train()
        losses = [entry["loss"] for entry in subject.state.log_history if "loss" in entry]
        weights = {
            name: [parameter.sum().item(), parameter.square().sum().item()]
            for name, parameter in subject.model.named_parameters()
        }
    return {"losses": losses, "eval_loss": before, "weights": weights}


if __name__ == "__main__":
    torch.set_num_threads(1)
    micro_batch, accumulation, outcome, names = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    runs: dict[str, Any] = {name: run(name, micro_batch, accumulation, ddp_backend="gloo") for name in names}
    if torch.distributed.get_rank() == 0:
        runs["processes"] = torch.distributed.get_world_size()
        Path(outcome).write_text(json.dumps(runs))
    torch.distributed.destroy_process_group()
