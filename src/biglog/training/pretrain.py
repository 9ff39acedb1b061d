"""Masked-language-model pretraining: from raw logs to a checkpoint and its record, in one call."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from transformers import PreTrainedTokenizerFast, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState
from transformers.utils import logging as transformers_logging

from biglog.data.collators import MaskedLanguageCollator, PackedRows, Segments
from biglog.data.corpus import Corpus, build_corpus, sampling_weights
from biglog.errors import CheckpointError, InputError
from biglog.logs.masking import MASKING_VERSION
from biglog.metrics.language import macro_average
from biglog.tokenizer import load_tokenizer, train_tokenizer
from biglog.training.arguments import PretrainArguments
from biglog.training.held_out import HeldOut, fit_unigram
from biglog.training.record import RECORD_SCHEMA, Clock, git_state, hardware, versions, write_json
from biglog.training.run_folder import RunFolder
from modeling_biglog import BigLogConfig, BigLogForMaskedLM

SMALLEST_CORPUS = 32
"""Fewer distinct normal forms teach nothing; more likely the wrong files were given."""


@dataclass(frozen=True)
class Prepared:
    """What a run trains on: the same for the same arguments and files.

    Attributes:
        corpus: Training and held-out normal forms.
        tokenizer: Trained on the training lines, or given.
        segments: The training lines as token ids.
        weights: How likely each of them is drawn, shape (segments,).
        held_out: Held-out lines by domain, tokenized, and their baseline.
    """

    corpus: Corpus
    tokenizer: PreTrainedTokenizerFast
    segments: Segments
    weights: np.ndarray
    held_out: HeldOut

    @property
    def training_tokens(self) -> int:
        """Tokens of all training lines together."""
        return int(self.segments.lengths.sum())


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
    fingerprint = prepared.corpus.fingerprint
    if last is not None:
        folder.check(arguments, fingerprint)
        clock = folder.read_clock(last)
    elif _is_first_process():
        folder.begin(arguments, fingerprint, prepared.tokenizer)
    model = initial_model(arguments, prepared.tokenizer)
    trainer = _trainer(arguments, prepared, model, folder, clock)
    with folder.writing():
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    record = _record(arguments, prepared, trainer, clock) | {"git": code}
    if _is_first_process():
        folder.save(model, prepared.tokenizer, arguments.name)
        write_json(folder.record_path, record)
        if arguments.record_path:
            write_json(Path(arguments.record_path), record)
    return record


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def prepare(arguments: PretrainArguments) -> Prepared:
    """Reads the sources, trains or loads the tokenizer, and tokenizes.

    Raises:
        InputError: Too little is left to train on.
        CheckpointError: The tokenizer cannot be used.
    """
    corpus = build_corpus(
        arguments.train_data,
        data_root=arguments.data_root,
        exclude=[*arguments.exclude, *arguments.eval_data],
        held_out_share=arguments.held_out_share,
    )
    if len(corpus.train) < SMALLEST_CORPUS:
        raise InputError(
            f"only {len(corpus.train)} distinct normal forms to train on, fewer than {SMALLEST_CORPUS}",
            remedy="Give more logs: lines that differ in values only count once",
        )
    lines = corpus.train["normal_form"].to_list()
    tokenizer = _tokenizer(arguments, lines)
    segments = Segments(lines, tokenizer, arguments.max_position_embeddings)
    weights = sampling_weights(
        corpus.train, temperature=arguments.temperature, count_power=arguments.count_power
    )
    # A line cut into windows is drawn as often as any other: its windows share its weight.
    weights = (weights / np.bincount(segments.line, minlength=len(lines)).clip(1))[segments.line]
    return Prepared(
        corpus=corpus,
        tokenizer=tokenizer,
        segments=segments,
        weights=weights,
        held_out=HeldOut.build(
            _evaluation_lines(arguments, corpus),
            tokenizer,
            fit_unigram(tokenizer, segments, weights),
            mlm_probability=arguments.mlm_probability,
            lines_per_domain=arguments.eval_lines,
            max_length=arguments.max_position_embeddings,
        ),
    )


def _evaluation_lines(arguments: PretrainArguments, corpus: Corpus) -> pl.DataFrame:
    """Returns the corpus's held-out lines and those of ``eval_data``, whose domains get a prefix."""
    if not arguments.eval_data:
        return corpus.held_out
    given = build_corpus(arguments.eval_data, data_root=arguments.data_root, held_out_share=0.0).train
    return pl.concat([corpus.held_out, given.with_columns(("given/" + pl.col("domain")).alias("domain"))])


def initial_model(arguments: PretrainArguments, tokenizer: PreTrainedTokenizerFast) -> BigLogForMaskedLM:
    """Returns the model that training starts from: at random, or a given checkpoint.

    Raises:
        CheckpointError: The checkpoint cannot be read, or its vocabulary is not the tokenizer's.
    """
    if arguments.initial_checkpoint is None:
        return BigLogForMaskedLM(
            BigLogConfig(
                vocab_size=len(tokenizer),
                hidden_size=arguments.hidden_size,
                num_hidden_layers=arguments.num_hidden_layers,
                num_attention_heads=arguments.num_attention_heads,
                intermediate_size=arguments.intermediate_size,
                max_position_embeddings=arguments.max_position_embeddings,
                hidden_dropout_prob=arguments.dropout,
                attention_probs_dropout_prob=arguments.dropout,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    try:
        model = BigLogForMaskedLM.from_pretrained(arguments.initial_checkpoint)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"cannot be read: {error}", where=arguments.initial_checkpoint) from error
    if model.config.vocab_size != len(tokenizer):
        raise CheckpointError(
            f"the checkpoint embeds {model.config.vocab_size} tokens, the tokenizer has {len(tokenizer)}",
            where=arguments.initial_checkpoint,
            remedy="Give the checkpoint's own tokenizer",
        )
    if model.config.max_position_embeddings < arguments.max_position_embeddings:
        raise CheckpointError(
            f"the checkpoint has {model.config.max_position_embeddings} positions, "
            f"max_position_embeddings asks for {arguments.max_position_embeddings}",
            where=arguments.initial_checkpoint,
        )
    return model


class PretrainingTrainer(Trainer):
    """The library's Trainer, evaluating by domain, keeping time, and saving checkpoints that are whole or not
    there."""

    def __init__(self, *, prepared: Prepared, folder: RunFolder, clock: Clock, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prepared, self.folder, self.clock = prepared, folder, clock

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Counts tokens, and stops when the loss is no number."""
        pad = self.prepared.tokenizer.pad_token_id
        self.clock.tokens += int((inputs["input_ids"] != pad).sum()) * self.args.world_size
        loss = super().training_step(model, inputs, *args, **kwargs)
        if not torch.isfinite(loss):
            raise self.folder.diverged("loss", self.state.global_step + 1)
        return loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluates on the held-out lines of each domain and logs the averages over domains."""
        model: Any = self.accelerator.unwrap_model(self.model)
        scores = self.prepared.held_out.score(model)
        if not scores:
            return {}
        mean = macro_average(scores)
        metrics = {
            "eval_loss": mean.loss,
            "eval_accuracy": mean.accuracy,
            "eval_bits_per_byte": mean.bits_per_byte,
        }
        metrics |= {f"eval_accuracy/{domain}": score.accuracy for domain, score in scores.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            self.folder.mark_whole(self.state.global_step, self.clock)


class _Watch(TrainerCallback):
    """Stops before a gradient that is no number reaches the weights; prints where no progress bar can."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Checks the gradients; in fp16 the loss scaler does, and skips such steps."""
        if args.fp16:
            return
        gradients = [p.grad.sum() for p in kwargs["model"].parameters() if p.grad is not None]
        if not torch.isfinite(torch.stack(gradients).sum()):
            raise self._folder.diverged("gradient", state.global_step + 1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Prints loss or evaluation to stderr."""
        if state.is_world_process_zero and args.disable_tqdm:
            figures = {k: v for k, v in (logs or {}).items() if "/" not in k and isinstance(v, (int, float))}
            text = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
            print(f"step {state.global_step}/{state.max_steps} {text}", file=sys.stderr, flush=True)


def _trainer(
    arguments: PretrainArguments,
    prepared: Prepared,
    model: BigLogForMaskedLM,
    folder: RunFolder,
    clock: Clock,
) -> PretrainingTrainer:
    settings = _training_arguments(arguments)
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
        train_dataset=PackedRows(
            prepared.segments,
            prepared.weights,
            rows=steps * rows_per_step,
            row_length=arguments.row_length,
            seed=arguments.seed,
        ),
        eval_dataset=[row for rows in prepared.held_out.rows.values() for row in rows],
        data_collator=MaskedLanguageCollator(
            prepared.tokenizer, arguments.mlm_probability, arguments.whole_words, seed=arguments.seed
        ),
        callbacks=[_Watch(folder)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _training_arguments(arguments: PretrainArguments) -> TrainingArguments:
    optional: dict[str, Any] = {"fsdp": arguments.fsdp} if arguments.fsdp else {}
    if arguments.gradient_checkpointing:
        optional["gradient_checkpointing"] = True
    return TrainingArguments(
        output_dir=arguments.output_path,
        per_device_train_batch_size=arguments.batch_size,
        gradient_accumulation_steps=arguments.gradient_accumulation_steps,
        max_steps=1,
        learning_rate=arguments.learning_rate,
        lr_scheduler_type=arguments.lr_scheduler,
        warmup_steps=arguments.warmup_ratio,
        weight_decay=arguments.weight_decay,
        adam_beta2=arguments.adam_beta2,
        max_grad_norm=arguments.max_grad_norm,
        bf16=arguments.bf16,
        fp16=arguments.fp16,
        seed=arguments.seed,
        use_cpu=arguments.use_cpu,
        dataloader_num_workers=arguments.loader_workers,
        dataloader_pin_memory=torch.cuda.is_available() and not arguments.use_cpu,
        # Rows are drawn at random already, as a function of their number: their order need not be, and must
        # not.
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        label_names=["labels"],
        logging_steps=arguments.logging_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if arguments.eval_steps else "no",
        eval_steps=arguments.eval_steps or None,
        save_strategy="steps",
        save_steps=arguments.save_steps,
        save_total_limit=arguments.save_total_limit,
        report_to=arguments.report_to,
        disable_tqdm=not sys.stderr.isatty(),
        **optional,
    )


def _tokenizer(arguments: PretrainArguments, lines: list[str]) -> PreTrainedTokenizerFast:
    kept = RunFolder(Path(arguments.output_path)).tokenizer_path
    given = arguments.tokenizer or (
        str(kept) if arguments.resume and kept.is_dir() else arguments.initial_checkpoint
    )
    if given is not None:
        return load_tokenizer(given)
    return train_tokenizer(
        lines,
        vocab_size=arguments.vocab_size,
        min_frequency=arguments.min_frequency,
        lowercase=arguments.lowercase,
        model_max_length=arguments.max_position_embeddings,
    )


def _record(
    arguments: PretrainArguments, prepared: Prepared, trainer: PretrainingTrainer, clock: Clock
) -> dict[str, Any]:
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    set_seed(arguments.seed + 1)
    untrained = BigLogForMaskedLM(model.config).to(model.device)
    history, used = trainer.state.log_history, clock.read()
    return {
        "schema": RECORD_SCHEMA,
        "name": arguments.name,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "arguments": arguments.to_dict() | {"data_root": None, "output_path": None, "record_path": None},
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
            {k: entry[k] for k in ("step", "loss", "learning_rate")} for entry in history if "loss" in entry
        ],
        "evaluations": [
            {"step": entry["step"]} | {k: entry[f"eval_{k}"] for k in ("loss", "accuracy", "bits_per_byte")}
            for entry in history
            if "eval_loss" in entry
        ],
        "evaluation": prepared.held_out.record(
            model=prepared.held_out.score(model),
            unigram=prepared.held_out.score_unigram(),
            random_initialisation=prepared.held_out.score(untrained),
        ),
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


def _model_record(model: BigLogForMaskedLM) -> dict[str, Any]:
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
