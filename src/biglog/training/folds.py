"""Leave-domain-out training: every domain is left out of one model, which alone is scored on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from biglog.logs.domains import DOMAINS
from biglog.training.arguments import PretrainArguments


def folds(count: int = 4, domains: Sequence[str] = tuple(DOMAINS)) -> list[tuple[str, ...]]:
    """Deals domains to folds in turn, in alphabetical order, so that nobody chose them.

    Args:
        count: How many folds.
        domains: All that are dealt.

    Returns:
        The domains of each fold.
    """
    ordered = sorted(domains, key=str.lower)
    return [tuple(ordered[start::count]) for start in range(count)]


def fold_runs(
    arguments: PretrainArguments, seeds: Sequence[int], count: int = 4
) -> Iterator[tuple[str, PretrainArguments]]:
    """Yields the runs of all folds and seeds, each with a name and a folder of its own.

    Args:
        arguments: What all runs share; ``output_path`` is the folder above theirs.
        seeds: Of weights, rows and pairs.
        count: How many folds.
    """
    for seed in seeds:
        for number, left_out in enumerate(folds(count)):
            name = f"fold{number}-seed{seed}"
            yield (
                name,
                dataclasses.replace(
                    arguments,
                    name=name,
                    seed=seed,
                    leave_out=left_out,
                    output_path=str(Path(arguments.output_path) / name),
                    record_path=None,
                ),
            )
