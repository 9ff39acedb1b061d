"""Masked tokens of domains that were left out of training: the records of fold models put together."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from biglog.errors import InputError

SCHEMA: Final = "biglog-left-out/1"
PREFIX: Final = "left_out/"
"""Before the names of domains that were left out, in a record's evaluation."""

COLUMNS: Final = ("model", "bigram", "unigram", "random_initialisation")
_METRICS: Final = ("accuracy", "bits_per_byte")


def gather(records: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Puts the scores of domains left out together, each from the models that did not see it.

    Args:
        records: Of runs with `leave_out`, over folds and training seeds.
        name: Of the checkpoint that shares their recipe.

    Returns:
        ``models`` (name, seed, domains left out), ``domains`` (lines, and for each of `COLUMNS` that all
        records have the mean over models), ``average_over_left_out_domains``, and the deviation of the
        average over training seeds, ``seed_sd`` (None for one seed).

    Raises:
        InputError: There is no record, or one has left no domain out.
    """
    if not records:
        raise InputError("no record of a run", remedy="Run recipes/leave_domains_out.py first")
    found: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for record in records:
        apart = {k: v for k, v in record["evaluation"]["domains"].items() if k.startswith(PREFIX)}
        if not apart:
            raise InputError("this run has left no domain out", where=str(record["name"]))
        for domain, row in apart.items():
            found[domain.removeprefix(PREFIX)].append((record["arguments"]["seed"], row))
    columns = [one for one in COLUMNS if all(one in row for rows in found.values() for _, row in rows)]
    domains = {
        domain: {"lines": rows[0][1]["lines"]} | _means([row for _, row in rows], columns)
        for domain, rows in sorted(found.items())
    }
    return {
        "schema": SCHEMA,
        "name": name,
        "models": [
            {"name": r["name"], "seed": r["arguments"]["seed"], "left_out": sorted(r["held_out_domains"])}
            for r in records
        ],
        "domains": domains,
        "average_over_left_out_domains": _means(list(domains.values()), columns),
        "seed_sd": _deviation(found),
    }


def _means(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> dict[str, dict[str, float]]:
    return {
        column: {metric: statistics.fmean(row[column][metric] for row in rows) for metric in _METRICS}
        for column in columns
    }


def _deviation(found: dict[str, list[tuple[int, dict[str, Any]]]]) -> dict[str, float] | None:
    """How the model's average over domains varies over training seeds that have all domains."""
    seeds = set.intersection(*({seed for seed, _ in rows} for rows in found.values()))
    if len(seeds) < 2:
        return None
    return {
        metric: statistics.stdev(
            statistics.fmean(row["model"][metric] for rows in found.values() for s, row in rows if s == seed)
            for seed in sorted(seeds)
        )
        for metric in _METRICS
    }
