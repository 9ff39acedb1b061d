"""The corpus that a run's arguments name, in memory or as shards on disk, and the rows drawn from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from transformers import PreTrainedTokenizerFast

from biglog.data.collators import PackedRows, Segments
from biglog.data.corpus import Corpus, build_corpus
from biglog.data.shard_stream import ShardedRows
from biglog.data.shards import ShardedCorpus, write_shards
from biglog.errors import InputError
from biglog.training.arguments import PretrainArguments

SHARDS: Final = "shards:"
"""Stands before the folder of a corpus on disk, where that is what a run trains on."""

SMALLEST_CORPUS: Final = 32
"""Fewer distinct normal forms teach nothing; more likely the wrong files were given."""


def read_corpus(arguments: PretrainArguments) -> Corpus:
    """Builds the corpus of a run, or opens its shards.

    Raises:
        InputError: Sources cannot be used, too little is left to train on, or shards are given together with
            what is decided when shards are written.
        OutputError: The folder of kept counts cannot be written.
    """
    if any(entry.startswith(SHARDS) for entry in arguments.train_data):
        corpus: Corpus = _open_shards(arguments)
    else:
        corpus = build_corpus(
            arguments.train_data,
            data_root=arguments.data_root,
            exclude=[*arguments.exclude, *arguments.eval_data],
            leave_out=arguments.leave_out,
            held_out_share=arguments.held_out_share,
            cache_folder=arguments.corpus_cache,
        )
    if len(corpus.train) < SMALLEST_CORPUS:
        raise InputError(
            f"only {len(corpus.train)} distinct normal forms to train on, fewer than {SMALLEST_CORPUS}",
            remedy="Give more logs: lines that differ in values only count once",
        )
    return corpus


def _open_shards(arguments: PretrainArguments) -> ShardedCorpus:
    if len(arguments.train_data) > 1:
        raise InputError("shards are a whole corpus", remedy=f"Give {SHARDS}FOLDER alone as train_data")
    for name in ("exclude", "leave_out", "eval_data", "line_order_weight"):
        if getattr(arguments, name, None):
            raise InputError(
                f"{name} cannot be given with shards",
                remedy="Exclusions are made when shards are written; line order needs the logs themselves",
            )
    folder = arguments.train_data[0].removeprefix(SHARDS)
    return ShardedCorpus.sampled(Path(arguments.data_root) / folder)


def write_corpus(
    arguments: PretrainArguments, folder: str | Path, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Writes the corpus of a run as shards; train on it with ``shards:FOLDER`` as ``train_data``.

    Args:
        arguments: Of the run.
        folder: Where the shards go.
        progress: Called with how many of how many parts are done.

    Raises:
        InputError: Sources cannot be used, or nothing is left to train on.
        OutputError: The folder is in use, or cannot be written.
    """
    return write_shards(
        arguments.train_data,
        folder,
        data_root=arguments.data_root,
        exclude=[*arguments.exclude, *arguments.eval_data],
        leave_out=arguments.leave_out,
        held_out_share=arguments.held_out_share,
        progress=progress,
    )


def step_rows(arguments: PretrainArguments, processes: int) -> int:
    """Returns how many rows an optimizer step takes on all processes together."""
    return arguments.batch_size * arguments.gradient_accumulation_steps * max(1, processes)


def training_steps(arguments: PretrainArguments, tokens: int, line_length: float, processes: int) -> int:
    """Returns the optimizer steps of a run: those asked for, or as many as draw its epochs.

    Args:
        arguments: Of the run.
        tokens: Tokens of the training lines.
        line_length: Mean tokens of a line, which is a row where rows are not packed.
        processes: How many train.
    """
    if arguments.max_steps:
        return arguments.max_steps
    row = arguments.row_length or line_length
    return max(1, math.ceil(arguments.epochs * tokens / row / step_rows(arguments, processes)))


def packed_rows(
    arguments: PretrainArguments,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerFast,
    segments: Segments,
    weights: np.ndarray,
    count: int,
) -> PackedRows | ShardedRows:
    """Returns rows of packed lines of the whole run.

    Args:
        arguments: Of the run.
        corpus: What it trains on.
        tokenizer: Reads it.
        segments: Its lines as token ids, or those of the sample in memory.
        weights: How likely each of them is drawn, shape (segments,).
        count: How many rows.
    """
    if isinstance(corpus, ShardedCorpus):
        return ShardedRows(
            corpus.shards,
            tokenizer,
            rows=count,
            row_length=arguments.row_length,
            seed=arguments.seed,
            temperature=arguments.temperature,
            count_power=arguments.count_power,
            max_length=arguments.max_position_embeddings,
            terms=arguments.masking == "terms",
        )
    return PackedRows(segments, weights, rows=count, row_length=arguments.row_length, seed=arguments.seed)
