"""Masked-language-model pretraining: from raw logs to a checkpoint and its record, in one call."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from transformers import PreTrainedTokenizerFast, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState

from biglog.data.collators import IGNORED, MaskedLanguageCollator, PackedRows, Row, Segments
from biglog.data.corpus import Corpus, build_corpus, sampling_weights
from biglog.errors import CheckpointError, InputError, OutputError
from biglog.logs.masking import MASKING_VERSION
from biglog.metrics.language import LanguageScore, Unigram, language_score, macro_average
from biglog.tokenizer import SPECIAL_TOKENS, load_tokenizer, piece_bytes, train_tokenizer
from biglog.training.arguments import PretrainArguments
from biglog.training.record import RECORD_SCHEMA, Clock, git_state, hardware, versions, write_json
from modeling_biglog import BigLogConfig, BigLogForMaskedLM

SMALLEST_CORPUS = 32
"""Fewer distinct normal forms teach nothing; more likely the wrong files were given."""

EVALUATION_SEED = 20230619
"""Evaluation hides the same tokens in every run, whatever the run's own seed."""

EVALUATION_DRAWS = 4
"""Times that each held-out line is masked anew: short domains would have too few masked tokens otherwise."""

_RUN_FILE, _CLOCK_FILE, _RECORD_FILE = "run.json", "clock.json", "record.json"


@dataclass(frozen=True)
class Prepared:
    """What a run trains on: the same for the same arguments and files.

    Attributes:
        corpus: Training and held-out normal forms.
        tokenizer: Trained on the training lines, or given.
        segments: The training lines as token ids.
        weights: How likely each of them is drawn, shape (segments,).
        evaluation: Held-out lines by domain, tokenized.
    """

    corpus: Corpus
    tokenizer: PreTrainedTokenizerFast
    segments: Segments
    weights: np.ndarray
    evaluation: dict[str, list[Row]]

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
    clock, code = Clock(), git_state()
    output = Path(arguments.output_path)
    last = _last_checkpoint(output, arguments)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    set_seed(arguments.seed)
    prepared = prepare(arguments)
    _agree_with_earlier(output, arguments, prepared, resumed=last is not None)
    model = initial_model(arguments, prepared.tokenizer)
    if last is not None:
        clock = Clock(**json.loads((last / _CLOCK_FILE).read_text(encoding="utf-8")))
    trainer = _trainer(arguments, prepared, model, clock)
    with _clear_errors(output):
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    used = clock.read()
    record = _record(arguments, prepared, trainer, used) | {"git": code}
    if trainer.is_world_process_zero():
        _save(model, prepared.tokenizer, output / arguments.name)
        for path in {output / _RECORD_FILE, Path(arguments.record_path or output / _RECORD_FILE)}:
            write_json(path, record)
    return record


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
    windows = np.bincount(segments.line, minlength=len(lines))
    held_out = corpus.held_out
    if arguments.eval_data:
        given = build_corpus(arguments.eval_data, data_root=arguments.data_root, held_out_share=1e-12).train
        held_out = pl.concat([held_out, given.with_columns(("given/" + pl.col("domain")).alias("domain"))])
    return Prepared(
        corpus=corpus,
        tokenizer=tokenizer,
        segments=segments,
        weights=weights[segments.line] / windows[segments.line],
        evaluation=evaluation_rows(
            held_out, tokenizer, arguments.eval_lines, arguments.max_position_embeddings
        ),
    )


def evaluation_rows(
    held_out: pl.DataFrame, tokenizer: PreTrainedTokenizerFast, lines_per_domain: int, max_length: int
) -> dict[str, list[Row]]:
    """Returns rows of held-out lines by domain, the same for the same lines; each is there `EVALUATION_DRAWS`
    times."""
    rows: dict[str, list[Row]] = {}
    for (domain,), part in held_out.sort("domain", "normal_form").group_by("domain", maintain_order=True):
        # Every k-th of the sorted lines: neighbours in the alphabet are near-duplicates.
        chosen = part["normal_form"].gather_every(max(1, math.ceil(len(part) / lines_per_domain)))
        segments = Segments(chosen.to_list(), tokenizer, max_length)
        draws = range(EVALUATION_DRAWS)
        rows[str(domain)] = [
            Row(segments=[segments[i]], draw=i * EVALUATION_DRAWS + draw)
            for i in range(len(segments))
            for draw in draws
        ]
    return rows


def evaluate_language(
    model: BigLogForMaskedLM, prepared: Prepared, mlm_probability: float = 0.15, batch_size: int = 64
) -> dict[str, dict[str, LanguageScore]]:
    """Scores a model and the unigram baseline on the same masked tokens of the held-out lines.

    Args:
        model: The model; its mode is restored afterwards.
        prepared: Holds lines, tokenizer and the training text that the baseline counts.
        mlm_probability: Share of the tokens to hide.
        batch_size: Lines per batch.

    Returns:
        For each domain, scores under "model" and "unigram".
    """
    collator = MaskedLanguageCollator(prepared.tokenizer, mlm_probability, seed=EVALUATION_SEED)
    sizes = np.array(piece_bytes(prepared.tokenizer))
    unigram = Unigram.fit(_token_counts(prepared))
    was_training = model.training
    model.eval()
    scores: dict[str, dict[str, LanguageScore]] = {}
    for domain, rows in prepared.evaluation.items():
        ordered = sorted(rows, key=lambda row: len(row["segments"][0]))
        batches = [collator(ordered[i : i + batch_size]) for i in range(0, len(ordered), batch_size)]
        parts = [_score_batch(model, batch) for batch in batches]
        targets, likelihood, correct = (np.concatenate(column) for column in zip(*parts, strict=True))
        if len(targets):
            own = language_score(likelihood, correct, sizes[targets])
            scores[domain] = {"model": own, "unigram": unigram.score(targets, sizes[targets])}
    model.train(was_training)
    return scores


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

    def __init__(self, *, prepared: Prepared, clock: Clock, mlm_probability: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prepared, self.clock, self.mlm_probability = prepared, clock, mlm_probability

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Counts tokens, and stops when the loss is no number."""
        pad = self.prepared.tokenizer.pad_token_id
        self.clock.tokens += int((inputs["input_ids"] != pad).sum()) * self.args.world_size
        loss = super().training_step(model, inputs, *args, **kwargs)
        if not torch.isfinite(loss):
            raise _diverged("loss", self.state.global_step + 1, self.args.output_dir)
        return loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluates on the held-out lines of each domain and logs the averages over domains."""
        model: Any = self.accelerator.unwrap_model(self.model)
        scores = evaluate_language(model, self.prepared, self.mlm_probability)
        if not scores:
            return {}
        mean = macro_average({domain: both["model"] for domain, both in scores.items()})
        metrics = {
            "eval_loss": mean.loss,
            "eval_accuracy": mean.accuracy,
            "eval_bits_per_byte": mean.bits_per_byte,
        }
        metrics |= {f"eval_accuracy/{domain}": both["model"].accuracy for domain, both in scores.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            # Written last: a checkpoint without it was interrupted, and is never resumed from.
            folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
            write_json(folder / _CLOCK_FILE, self.clock.read())


class _Watch(TrainerCallback):
    """Stops before a gradient that is no number reaches the weights; prints a line where no progress bar
    can."""

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Checks the gradients; in fp16 the loss scaler does, and skips such steps."""
        if args.fp16:
            return
        gradients = [p.grad.sum() for p in kwargs["model"].parameters() if p.grad is not None]
        if not torch.isfinite(torch.stack(gradients).sum()):
            raise _diverged("gradient", state.global_step + 1, str(args.output_dir))

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
    arguments: PretrainArguments, prepared: Prepared, model: BigLogForMaskedLM, clock: Clock
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
        clock=clock,
        mlm_probability=arguments.mlm_probability,
        model=model,
        args=settings,
        train_dataset=PackedRows(
            prepared.segments,
            prepared.weights,
            rows=steps * rows_per_step,
            row_length=arguments.row_length,
            seed=arguments.seed,
        ),
        eval_dataset=[row for rows in prepared.evaluation.values() for row in rows],
        data_collator=MaskedLanguageCollator(
            prepared.tokenizer, arguments.mlm_probability, arguments.whole_words, seed=arguments.seed
        ),
        callbacks=[_Watch()],
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
    kept = Path(arguments.output_path) / "tokenizer"
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


def _token_counts(prepared: Prepared) -> np.ndarray:
    """Expected count of each token in as many draws as there are windows; special tokens have none."""
    counts = np.zeros(len(prepared.tokenizer))
    weights = prepared.weights / prepared.weights.sum() * len(prepared.segments)
    for i, weight in enumerate(weights):
        np.add.at(counts, prepared.segments[i], weight)
    counts[prepared.tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))] = 0
    return counts


@torch.no_grad()
def _score_batch(model: BigLogForMaskedLM, batch: dict[str, torch.Tensor]) -> tuple[np.ndarray, ...]:
    """Returns true ids of the masked tokens, their log-likelihoods, and whether the best guess was right."""
    batch = {name: value.to(model.device) for name, value in batch.items()}
    labels = batch.pop("labels")
    masked = labels != IGNORED
    states = model.bert(**batch).last_hidden_state[masked]
    log_probabilities = model.cls.predictions(states).float().log_softmax(-1)
    targets = labels[masked]
    likelihood = log_probabilities.gather(1, targets[:, None]).squeeze(1)
    correct = log_probabilities.argmax(-1) == targets
    return targets.cpu().numpy(), likelihood.double().cpu().numpy(), correct.cpu().numpy()


def _last_checkpoint(output: Path, arguments: PretrainArguments) -> Path | None:
    """Returns the last whole checkpoint to go on from, None for a fresh start."""
    whole = [folder for folder in output.glob("checkpoint-*") if (folder / _CLOCK_FILE).is_file()]
    last = max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)
    if not arguments.resume:
        if last is not None or (output / _RECORD_FILE).is_file():
            raise InputError(
                "holds a run already",
                where=output,
                remedy="Add --resume to go on with it, or choose another output_path",
            )
        return None
    if (output / _RECORD_FILE).is_file():
        raise InputError(
            "this run is finished", where=output, remedy="Choose another output_path to train anew"
        )
    return last


def _agree_with_earlier(
    output: Path, arguments: PretrainArguments, prepared: Prepared, *, resumed: bool
) -> None:
    """Writes down what a run is about when it starts, and compares when it is resumed."""
    path = output / _RUN_FILE
    now = {"arguments": arguments.to_dict(), "fingerprint": prepared.corpus.fingerprint}
    if not resumed:
        write_json(path, now)
        prepared.tokenizer.save_pretrained(output / "tokenizer")
        return
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            "the run's arguments cannot be read, so it cannot be resumed", where=path
        ) from error
    changed = arguments.differences(earlier["arguments"])
    if changed:
        listed = ", ".join(f"{name} (was {was!r}, is {is_!r})" for name, (was, is_) in changed.items())
        raise InputError(
            f"the arguments differ from those the run began with: {listed}",
            where=output,
            remedy="Resume with the same arguments, or start anew in another output_path",
        )
    if earlier["fingerprint"] != now["fingerprint"]:
        raise InputError("the training lines differ from those the run began with", where=output)


@contextlib.contextmanager
def _clear_errors(output: Path) -> Iterator[None]:
    """Names the place and the remedy when a checkpoint cannot be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write a checkpoint: {error}", where=output, remedy=_remedy(str(output))
        ) from error
    except RuntimeError as error:  # torch.save's own way of saying that the disk is full
        if "PytorchStreamWriter" not in str(error) and "inline_container" not in str(error):
            raise
        raise OutputError("cannot write a checkpoint", where=output, remedy=_remedy(str(output))) from error


def _diverged(what: str, step: int, output: str | None) -> InputError:
    return InputError(
        f"the {what} is not a finite number at step {step}",
        where=output,
        remedy=f"{_remedy(str(output))}. Lower learning_rate or raise warmup_ratio",
    )


def _remedy(output: str) -> str:
    whole = [folder for folder in Path(output).glob("checkpoint-*") if (folder / _CLOCK_FILE).is_file()]
    last = max((int(folder.name.rpartition("-")[2]) for folder in whole), default=None)
    return (
        "No checkpoint was written yet"
        if last is None
        else f"checkpoint-{last} is whole: go on with --resume"
    )


def _save(model: BigLogForMaskedLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes the checkpoint under a temporary name, then renames it.

    The library copies the model's source files beside the weights; they are left out here, because publishing
    adds those of the version that publishes.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        for source in temporary.glob("*.py"):
            source.unlink()
        for file in temporary.iterdir():
            file.chmod(0o644)  # weights are written readable for their owner only
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", where=folder) from error


def _record(
    arguments: PretrainArguments,
    prepared: Prepared,
    trainer: PretrainingTrainer,
    used: dict[str, float | int],
) -> dict[str, Any]:
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    trained = evaluate_language(model, prepared, arguments.mlm_probability)
    set_seed(arguments.seed + 1)
    untrained = evaluate_language(
        BigLogForMaskedLM(model.config).to(model.device), prepared, arguments.mlm_probability
    )
    history = trainer.state.log_history
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
        "evaluation": _evaluation_record(prepared, trained, untrained),
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


def _evaluation_record(
    prepared: Prepared,
    trained: dict[str, dict[str, LanguageScore]],
    untrained: dict[str, dict[str, LanguageScore]],
) -> dict[str, Any]:
    columns = {
        "model": {domain: both["model"] for domain, both in trained.items()},
        "unigram": {domain: both["unigram"] for domain, both in trained.items()},
        "random_initialisation": {domain: both["model"] for domain, both in untrained.items()},
    }
    domains = {
        domain: {"lines": len(prepared.evaluation[domain]) // EVALUATION_DRAWS}
        | {name: asdict(scores[domain]) for name, scores in columns.items()}
        for domain in trained
    }
    average = {name: asdict(macro_average(scores)) for name, scores in columns.items()} if domains else {}
    return {"domains": domains, "average_over_domains": average}
