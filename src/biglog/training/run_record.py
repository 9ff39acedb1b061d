"""The record of a pretraining run: its data, model, curve and evaluation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from transformers import set_seed

from biglog.data.run_facts import hardware, versions
from biglog.logs.masking import MASKING_VERSION
from biglog.training.arguments import PretrainArguments
from biglog.training.prepared import Prepared
from biglog.training.record import RECORD_SCHEMA, Clock
from biglog.training.trainer import PretrainingTrainer
from modeling_biglog import BigLogForMaskedLM, BigLogForPreTraining


def run_record(
    arguments: PretrainArguments,
    prepared: Prepared,
    trainer: PretrainingTrainer,
    result: BigLogForMaskedLM | BigLogForPreTraining,
    clock: Clock,
) -> dict[str, Any]:
    """Returns what a finished run's record says of its result; the commit is left to be filled in."""
    model: Any = result
    model.to(trainer.args.device)
    set_seed(arguments.seed + 1)
    untrained = BigLogForMaskedLM(model.config).to(model.device)
    history, used = trainer.state.log_history, clock.read()
    order = prepared.line_order
    return {
        "schema": RECORD_SCHEMA,
        "name": arguments.name,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "arguments": arguments.to_dict()
        | {
            "data_root": None,
            "output_path": None,
            "record_path": None,
            "corpus_cache": None,
            "teacher_cache": None,
        },
        "masking_version": MASKING_VERSION,
        "data": prepared.corpus.record()
        | {"train_tokens": prepared.training_tokens, "cut_lines": prepared.segments.cut_lines},
        "tokenizer": _tokenizer_record(prepared),
        "model": _model_record(model),
        "training": used
        | {
            "steps": trainer.state.global_step,
            "tokens_per_cpu_second": used["tokens"] / max(used["cpu_seconds"], 1e-9),
        },
        "curve": [
            {k: entry[k] for k in entry if k in ("step", "learning_rate") or k.startswith("loss")}
            for entry in history
            if "loss" in entry
        ],
        "evaluations": [
            {"step": entry["step"]}
            | {k.removeprefix("eval_"): v for k, v in entry.items() if k.startswith("eval_") and "/" not in k}
            for entry in history
            if any(name.startswith("eval_") for name in entry)
        ],
        "evaluation": prepared.held_out.record(
            model=prepared.held_out.score(model),
            unigram=prepared.held_out.score_unigram(),
            bigram=prepared.held_out.score_bigram(),
            random_initialisation=prepared.held_out.score(untrained),
        ),
        **({} if order is None else {"line_order": order.record(model)}),
        **({} if prepared.objectives is None else {"objectives": prepared.objectives.record}),
        **({} if prepared.statements is None else {"statements": prepared.statements}),
        "held_out_domains": sorted(arguments.leave_out),
        "hardware": hardware(),
        "versions": versions(),
    }


def _tokenizer_record(prepared: Prepared) -> dict[str, Any]:
    lines = prepared.corpus.train.with_columns(
        pl.Series("tokens", np.bincount(prepared.segments.line, weights=prepared.segments.lengths - 2)),
        pl.col("normal_form").str.len_bytes().alias("bytes"),
    )
    table = lines.group_by("domain").agg(
        tokens_per_line=pl.col("tokens").mean(),
        bytes_per_token=pl.col("bytes").sum() / pl.col("tokens").sum(),
        over_limit=(pl.col("tokens") > prepared.tokenizer.model_max_length - 2).mean(),
    )
    return {"vocab_size": len(prepared.tokenizer), "domains": table.sort("domain").to_dicts()}


def _model_record(model: BigLogForMaskedLM | BigLogForPreTraining) -> dict[str, Any]:
    names = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {name: getattr(model.config, name) for name in names} | {
        "vocab_size": model.config.vocab_size,
        "parameters": parameters,
        "encoder_parameters": sum(parameter.numel() for parameter in model.bert.parameters()),
        "megabytes": round(parameters * 4 / 1e6, 1),
    }
