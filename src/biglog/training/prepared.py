"""What a pretraining run trains and is evaluated on, made from its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from transformers import PreTrainedTokenizerFast

from biglog.data.collators import Segments
from biglog.data.corpus import Corpus, build_corpus, sampling_weights
from biglog.errors import CheckpointError
from biglog.tokenizer import load_tokenizer, train_tokenizer
from biglog.training.arguments import PretrainArguments
from biglog.training.corpora import read_corpus
from biglog.training.distill import Teacher, device, initial_embeddings, special_rows
from biglog.training.held_out import HeldOut, fit_bigram, fit_unigram, mark_left_out
from biglog.training.line_order import LineOrder
from biglog.training.objectives import (
    Objectives,
    prepare_objectives,
    read_training_statements,
    statement_lines,
)
from biglog.training.run_folder import RunFolder


@dataclass(frozen=True)
class Prepared:
    """What a run trains on: the same for the same arguments and files.

    Attributes:
        corpus: Training and held-out normal forms.
        tokenizer: Trained on the training lines, or given.
        segments: The training lines as token ids.
        weights: How likely each of them is drawn, shape (segments,).
        held_out: Held-out lines by domain, tokenized, and their baseline.
        line_order: Windows of lines to learn their order from; None where it is not learnt.
        objectives: Pairs of lines to learn from; None where nothing is.
        start: What the token embeddings start as, shape (tokens, hidden); None to start at random.
        statements: What became of the table of statements; None without one.
    """

    corpus: Corpus
    tokenizer: PreTrainedTokenizerFast
    segments: Segments
    weights: np.ndarray
    held_out: HeldOut
    line_order: LineOrder | None = None
    objectives: Objectives | None = None
    start: torch.Tensor | None = None
    statements: dict[str, Any] | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of what is trained on: equal if and only if that is."""
        order = [] if self.line_order is None else [self.line_order.fingerprint]
        pairs = [] if self.objectives is None else [self.objectives.fingerprint]
        return "+".join([self.corpus.fingerprint, *order, *pairs])

    @property
    def training_tokens(self) -> int:
        """Tokens of all training lines together; estimated where only a sample is in memory."""
        return round(int(self.segments.lengths.sum()) * self.corpus.forms / len(self.corpus.train))


def prepare(arguments: PretrainArguments) -> Prepared:
    """Reads the sources, trains or loads the tokenizer, and tokenizes.

    Raises:
        InputError: Too little is left to train on.
        CheckpointError: The tokenizer cannot be used.
    """
    corpus, statements, account = _with_statements(arguments, read_corpus(arguments))
    lines = corpus.train["normal_form"].to_list()
    tokenizer = _tokenizer(arguments, lines)
    segments = Segments(
        lines, tokenizer, arguments.max_position_embeddings, terms=arguments.masking == "terms"
    )
    weights = sampling_weights(
        corpus.train, temperature=arguments.temperature, count_power=arguments.count_power
    )
    # A line cut into windows is drawn as often as any other: its windows share its weight.
    weights = (weights / np.bincount(segments.line, minlength=len(lines)).clip(1))[segments.line]
    teacher = _teacher(arguments)
    order = LineOrder.prepare(arguments, corpus, segments, tokenizer) if arguments.line_order_weight else None
    return Prepared(
        corpus=corpus,
        tokenizer=tokenizer,
        segments=segments,
        weights=weights,
        line_order=order,
        objectives=prepare_objectives(arguments, corpus.train, statements, tokenizer, teacher)
        if arguments.has_pairs
        else None,
        start=_start(arguments, tokenizer, teacher),
        statements=account,
        held_out=HeldOut.build(
            _evaluation_lines(arguments, corpus),
            tokenizer,
            fit_unigram(tokenizer, segments, weights),
            mlm_probability=arguments.mlm_probability,
            lines_per_domain=arguments.eval_lines,
            max_length=arguments.max_position_embeddings,
            bigram=fit_bigram(tokenizer, segments, weights),
        ),
    )


def _with_statements(
    arguments: PretrainArguments, corpus: Corpus
) -> tuple[Corpus, pl.DataFrame | None, dict[str, Any] | None]:
    """Returns the corpus with log statements among its training lines, the statements, and their account."""
    if not arguments.statements:
        return corpus, None, None
    tested = corpus.left_out["normal_form"]
    statements, account = read_training_statements(arguments.statement_paths, tested, arguments.corpus_cache)
    return statement_lines(statements, corpus), statements, account | {"files": list(arguments.statements)}


def _teacher(arguments: PretrainArguments) -> Teacher | None:
    if arguments.teacher is None:
        return None
    return Teacher(arguments.teacher, arguments.teacher_cache, device=device(arguments.use_cpu))


def _start(
    arguments: PretrainArguments, tokenizer: PreTrainedTokenizerFast, teacher: Teacher | None
) -> torch.Tensor | None:
    """Returns the token embeddings to start with, if a teacher gives them."""
    if teacher is None or not arguments.teacher_start:
        return None
    rows = special_rows(tokenizer)
    return initial_embeddings(teacher.vocabulary(tokenizer), arguments.hidden_size, rows, arguments.seed)


def _evaluation_lines(arguments: PretrainArguments, corpus: Corpus) -> pl.DataFrame:
    """Returns the corpus's held-out lines, those of domains that are left out and those of ``eval_data``; the
    domains of the latter two get a prefix."""
    lines = pl.concat([corpus.held_out, mark_left_out(corpus.left_out)])
    if not arguments.eval_data:
        return lines
    given = build_corpus(arguments.eval_data, data_root=arguments.data_root, held_out_share=0.0).train
    return pl.concat([lines, given.with_columns(("given/" + pl.col("domain")).alias("domain"))])


def _tokenizer(arguments: PretrainArguments, lines: list[str]) -> PreTrainedTokenizerFast:
    kept = RunFolder(Path(arguments.output_path)).tokenizer_path
    start = None if arguments.swap_vocabulary else arguments.initial_checkpoint
    given = arguments.tokenizer or (str(kept) if arguments.resume and kept.is_dir() else start)
    if given is not None:
        try:
            return load_tokenizer(given)
        except CheckpointError as error:
            if given != start:
                raise
            remedy = "Give a tokenizer of ours that fits it, or add --swap_vocabulary"
            raise CheckpointError(error.problem, where=given, remedy=remedy) from error
    return train_tokenizer(
        lines,
        vocab_size=arguments.vocab_size,
        min_frequency=arguments.min_frequency,
        lowercase=arguments.lowercase,
        model_max_length=arguments.max_position_embeddings,
    )
