"""Masked-language-model pretraining: from raw logs to a checkpoint and its record, in one call."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, cast

import torch
from transformers import set_seed
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging as transformers_logging

from biglog.data.collators import MaskedLanguageCollator, PackedRows
from biglog.data.line_windows import MixedRows
from biglog.data.run_facts import git_state, write_json
from biglog.data.shard_stream import ShardedRows
from biglog.training.arguments import PretrainArguments
from biglog.training.attention import attend_in_float32
from biglog.training.corpora import packed_rows, step_rows, training_steps
from biglog.training.initial import initial_model
from biglog.training.joint import JointModel, joint_model, without_joint_heads
from biglog.training.objectives import JointCollator
from biglog.training.prepared import Prepared, prepare
from biglog.training.record import Clock
from biglog.training.run_folder import RunFolder
from biglog.training.run_record import run_record
from biglog.training.trackers import trackers
from biglog.training.trainer import PretrainingTrainer, TokensUntil, Watch, training_arguments
from biglog.training.warm_start import warm_start
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
    trackers(arguments.report_to)
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
        if _is_first_process():
            folder.drop_interrupted()
    elif _is_first_process():
        folder.begin(arguments, fingerprint, prepared.tokenizer)
    model = _model(arguments, prepared, last)
    trainer = build_trainer(arguments, prepared, model, folder, clock)
    with folder.writing():
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    result = _result(trainer.whole_model(), prepared)
    record = run_record(arguments, prepared, trainer, result, clock) | {"git": code}
    if _is_first_process():
        folder.save(result, prepared.tokenizer, arguments.name)
        write_json(folder.record_path, record)
        if arguments.record_path:
            write_json(Path(arguments.record_path), record)
    return record


def _model(
    arguments: PretrainArguments, prepared: Prepared, last: Path | None = None
) -> BigLogForMaskedLM | BigLogForPreTraining:
    """Returns what is trained: a model of ours, with heads for what is learnt from pairs where that is.

    The weights of a run that goes on come from its last checkpoint: its start is not trained again.
    """
    model = initial_model(arguments, prepared.tokenizer)
    if prepared.start is not None:
        with torch.no_grad():
            cast(torch.nn.Embedding, model.get_input_embeddings()).weight.copy_(prepared.start)
    if prepared.objectives is None:
        return model
    joint = joint_model(
        model,
        weights={
            "tokens": arguments.tokens_weight,
            "identity": arguments.identity_weight,
            "severity": arguments.severity_weight,
            "teacher": arguments.teacher_weight,
        },
        temperature=arguments.identity_temperature,
        teacher_width=prepared.objectives.teacher_width,
    )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    joint.set_share(arguments.gradient_accumulation_steps * processes)
    if arguments.warm_start_steps and last is None:
        steps, pairs = arguments.warm_start_steps, arguments.warm_start_pairs
        warm_start(joint, prepared.objectives, steps=steps, pairs=pairs)
    return joint


def _result(
    model: BigLogForMaskedLM | BigLogForPreTraining, prepared: Prepared
) -> BigLogForMaskedLM | BigLogForPreTraining:
    """Returns what a checkpoint holds of what was trained."""
    if not isinstance(model, JointModel):
        return model
    kind = BigLogForMaskedLM if prepared.line_order is None else BigLogForPreTraining
    return without_joint_heads(model, kind)


def _rows(
    arguments: PretrainArguments, prepared: Prepared, count: int
) -> PackedRows | ShardedRows | MixedRows:
    """Returns the rows of the whole run: packed lines, and windows of lines among them where order is
    learnt."""
    lines = packed_rows(
        arguments, prepared.corpus, prepared.tokenizer, prepared.segments, prepared.weights, count
    )
    if prepared.line_order is None or isinstance(lines, ShardedRows):
        return lines
    return MixedRows(
        lines,
        prepared.line_order.windows,
        share=arguments.window_share,
        row_length=arguments.row_length,
        seed=arguments.seed,
    )


def _collator(arguments: PretrainArguments, prepared: Prepared) -> MaskedLanguageCollator | JointCollator:
    rows = MaskedLanguageCollator(
        prepared.tokenizer,
        arguments.mlm_probability,
        arguments.masking,
        seed=arguments.seed,
        line_order=prepared.line_order is not None,
    )
    return rows if prepared.objectives is None else JointCollator(rows, prepared.objectives)


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
    rows_per_step = step_rows(arguments, settings.world_size)
    length = float(prepared.segments.lengths.mean())
    steps = training_steps(arguments, prepared.training_tokens, length, settings.world_size)
    settings.max_steps = steps
    if settings.bf16 and settings.device.type == "cpu":
        attend_in_float32(model)
    trainer = PretrainingTrainer(
        prepared=prepared,
        folder=folder,
        clock=clock,
        model=model,
        args=settings,
        train_dataset=_rows(arguments, prepared, steps * rows_per_step),
        eval_dataset=[row for rows in prepared.held_out.rows.values() for row in rows],
        data_collator=_collator(arguments, prepared),
        callbacks=[
            Watch(folder),
            *([TokensUntil(model, arguments.tokens_until)] if isinstance(model, JointModel) else []),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
