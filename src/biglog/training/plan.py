"""What a pretraining run would do, told before it begins: its corpus, what is excluded, its steps."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import polars as pl
from transformers import PreTrainedTokenizerFast

from biglog.data.collators import Segments
from biglog.data.corpus import Corpus, sampling_weights
from biglog.tokenizer import load_tokenizer
from biglog.training.arguments import PretrainArguments
from biglog.training.corpora import read_corpus, step_rows, training_steps


def plan_run(arguments: PretrainArguments) -> dict[str, Any]:
    """Reads the sources and tells what a run would do; nothing is trained and nothing written.

    Args:
        arguments: Of the run. Tokens are counted where a tokenizer is given (or a checkpoint to start from);
            otherwise it would be trained, and they are unknown (None).

    Returns:
        ``domains`` (a row each: lines, distinct forms, held out, tokens, the share of draws, and how often a
        form is drawn in an epoch), ``exclusions`` (with proof: how many of their forms remain, which is 0),
        ``left_out``, ``totals``, ``training`` (steps, rows and tokens; its seconds are unknown) and
        ``warnings``.

    Raises:
        InputError: As `read_corpus`.
        CheckpointError: The tokenizer cannot be read.
    """
    corpus = read_corpus(arguments)
    record: dict[str, Any] = corpus.record()
    tokenizer = _tokenizer(arguments)
    lengths = None if tokenizer is None else _tokens(corpus, tokenizer, arguments)
    domains = _domains(arguments, corpus, record, lengths)
    tokens = None if lengths is None else round(float(lengths.sum()) * corpus.forms / len(lengths))
    return {
        "name": arguments.name,
        "domains": domains,
        "left_out": record["left_out"],
        "exclusions": record["exclusions"],
        "totals": {
            "lines": sum(row["lines"] for row in domains),
            "forms": record["train_normal_forms"],
            "held_out": record["held_out_normal_forms"],
            "tokens": tokens,
        },
        "training": _training(arguments, tokens, None if lengths is None else float(lengths.mean())),
        "warnings": _warnings(arguments, domains, record),
        "fingerprint": record["fingerprint"],
    }


def _tokenizer(arguments: PretrainArguments) -> PreTrainedTokenizerFast | None:
    given = arguments.tokenizer or arguments.initial_checkpoint
    return None if given is None else load_tokenizer(given)


def _tokens(corpus: Corpus, tokenizer: PreTrainedTokenizerFast, arguments: PretrainArguments) -> np.ndarray:
    """Tokens of each line in memory, [CLS] and [SEP] included."""
    lines = corpus.train["normal_form"].to_list()
    segments = Segments(lines, tokenizer, arguments.max_position_embeddings)
    return np.bincount(segments.line, weights=segments.lengths, minlength=len(lines))


def _domains(
    arguments: PretrainArguments, corpus: Corpus, record: dict[str, Any], lengths: np.ndarray | None
) -> list[dict[str, Any]]:
    weights = sampling_weights(
        corpus.train, temperature=arguments.temperature, count_power=arguments.count_power
    )
    drawn = corpus.train.select(
        "domain",
        pl.Series("share", weights),
        pl.Series("tokens", np.zeros(len(weights)) if lengths is None else lengths),
    )
    table = drawn.group_by("domain").agg(pl.col("share").sum(), pl.col("tokens").sum(), pl.len())
    found = {row["domain"]: row for row in table.to_dicts()}
    rows = []
    for row in record["domains"]:
        mine = found.get(row["domain"], {"share": 0.0, "tokens": 0.0, "len": 1})
        tokens = round(mine["tokens"] * row["forms"] / mine["len"]) if lengths is not None else None
        often = mine["share"] * corpus.forms / max(1, row["forms"])
        rows.append(row | {"tokens": tokens, "share": mine["share"], "draws_per_form": often})
    return rows


def _training(arguments: PretrainArguments, tokens: int | None, length: float | None) -> dict[str, Any]:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    steps = arguments.max_steps or None
    if tokens is not None and length is not None:
        steps = training_steps(arguments, tokens, length, processes)
    rows = None if steps is None else steps * step_rows(arguments, processes)
    row_tokens = arguments.row_length or length
    drawn = None if rows is None or row_tokens is None else round(rows * row_tokens)
    return {
        "steps": steps,
        "processes": processes,
        "rows_per_step": step_rows(arguments, processes),
        "tokens_at_most" if arguments.row_length else "tokens_about": drawn,
        "epochs_about": None if drawn is None or not tokens else drawn / tokens,
        "seconds": None,
    }


def _warnings(
    arguments: PretrainArguments, domains: list[dict[str, Any]], record: dict[str, Any]
) -> list[str]:
    warnings = []
    if len(domains) == 1 and arguments.temperature != 1:
        warnings.append("there is one domain: temperature changes nothing")
    for row in domains:
        if not row["forms"]:
            warnings.append(f"{row['domain']} has no line left to train on")
        elif row["draws_per_form"] > 20:
            warnings.append(
                f"{row['domain']} is drawn {row['draws_per_form']:.0f} times an epoch: raise temperature"
            )
    for exclusion in record["exclusions"]:
        if exclusion["reason"] == "excluded" and not exclusion["dropped"]:
            warnings.append(
                f"{exclusion['name']} ({exclusion['file']}) shares no normal form with the sources"
            )
    return warnings
