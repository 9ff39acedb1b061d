"""Masked-language-model pretraining: from raw logs to a checkpoint and its record, in one call."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging as transformers_logging

from biglog.data.collators import MaskedLanguageCollator, PackedRows
from biglog.data.line_windows import MixedRows
from biglog.training.arguments import PretrainArguments
from biglog.training.initial import initial_model
from biglog.training.prepared import Prepared, prepare
from biglog.training.record import Clock, git_state, write_json
from biglog.training.run_folder import RunFolder
from biglog.training.run_record import run_record
from biglog.training.trainer import PretrainingTrainer, Watch, training_arguments
from modeling_biglog import BigLogForMaskedLM, BigLogForPreTraining


def pretrain(arguments: PretrainArguments) -> dict[str, Any]:
    """Pretrains a model and writes checkpoint and record.

    Args:
        arguments: What to do. The checkpoint goes to ``<output_path>/<name>``, the record to
            ``<output_path>/record.json`` and to ``record_path``.

    Returns:
        The record.

    Raises:
        InputError: Sources or arguments cannot be used, or training diverged.
        CheckpointError: ``initial_checkpoint`` or ``tokenizer`` cannot be used.
        OutputError: A checkpoint cannot be written; the last one stays as it was.
    """
    code, clock, folder = git_state(), Clock(), RunFolder(Path(arguments.output_path))
    last = folder.last_checkpoint(resume=arguments.resume)
    folder.create()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if not sys.stderr.isatty():
        transformers_logging.disable_progress_bar()
    set_seed(arguments.seed)
    prepared = prepare(arguments)
    fingerprint = prepared.fingerprint
    if last is not None:
        folder.check(arguments, fingerprint)
        clock = folder.read_clock(last)
    elif _is_first_process():
        folder.begin(arguments, fingerprint, prepared.tokenizer)
    model = initial_model(arguments, prepared.tokenizer)
    trainer = build_trainer(arguments, prepared, model, folder, clock)
    with folder.writing():
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    record = run_record(arguments, prepared, trainer, clock) | {"git": code}
    if _is_first_process():
        folder.save(model, prepared.tokenizer, arguments.name)
        write_json(folder.record_path, record)
        if arguments.record_path:
            write_json(Path(arguments.record_path), record)
    return record


def _rows(arguments: PretrainArguments, prepared: Prepared, count: int) -> PackedRows | MixedRows:
    """Returns the rows of the whole run: packed lines, and windows of lines among them where order is
    learnt."""
    lines = PackedRows(
        prepared.segments,
        prepared.weights,
        rows=count,
        row_length=arguments.row_length,
        seed=arguments.seed,
    )
    if prepared.line_order is None:
        return lines
    return MixedRows(
        lines,
        prepared.line_order.windows,
        share=arguments.window_share,
        row_length=arguments.row_length,
        seed=arguments.seed,
    )


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def build_trainer(
    arguments: PretrainArguments,
    prepared: Prepared,
    model: BigLogForMaskedLM | BigLogForPreTraining,
    folder: RunFolder,
    clock: Clock,
) -> PretrainingTrainer:
    """Returns the Trainer of a run, ready for its ``train``.

    Args:
        arguments: Of the run.
        prepared: What it trains and is evaluated on.
        model: What it starts from.
        folder: Where its checkpoints go.
        clock: Counts its time and tokens.
    """
    settings = training_arguments(arguments)
    world = max(1, settings.world_size)
    rows_per_step = arguments.batch_size * arguments.gradient_accumulation_steps * world
    steps = arguments.max_steps
    if not steps:
        row = arguments.row_length or float(prepared.segments.lengths.mean())
        steps = max(1, math.ceil(arguments.epochs * prepared.training_tokens / row / rows_per_step))
    settings.max_steps = steps
    trainer = PretrainingTrainer(
        prepared=prepared,
        folder=folder,
        clock=clock,
        model=model,
        args=settings,
        train_dataset=_rows(arguments, prepared, steps * rows_per_step),
        eval_dataset=[row for rows in prepared.held_out.rows.values() for row in rows],
        data_collator=MaskedLanguageCollator(
            prepared.tokenizer,
            arguments.mlm_probability,
            arguments.masking,
            seed=arguments.seed,
            line_order=prepared.line_order is not None,
        ),
        callbacks=[Watch(folder)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
