"""Few-shot: what 1 to 100 labels are worth, beside all labels, for parsing and for detection.

Parsing: of each annotated sample the first half of the lines may be labelled, the second half is scored, so
that no scored line is ever labelled. The parser has learnt from other folds' domains; a label is the template
of a line. All labels are those of every line of the first half.

Detection: groups of the training part are labelled, and the test part is scored, as `biglog.evaluation.
anomaly.learning` has them. Proposed groups are asked for before a label is seen; the others count as the
nearest of these, or (*alone*) are not used. Drawn groups are half anomalous: somebody has to find these. Of
the two that need nobody to find anything, the one that has the larger mean share with 20 labels on validation
parts, which are no part of the tests, is held against the bar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from biglog.evaluation.anomaly import learning, sets
from biglog.evaluation.anomaly.sets import Labelled
from biglog.evaluation.anomaly.systems import Embedders
from biglog.evaluation.parsing import (
    GROUND_TRUTHS,
    Truths,
    first_distinct,
    parsed_whole,
    proposed,
    read_truth,
    scored,
    statements_apart,
    taught_parsers,
)
from biglog.evaluation.probes.labelled import checksum
from biglog.tasks.anomaly.detector import Settings
from biglog.tasks.anomaly.known import Encode
from biglog.tasks.parsing.library import TemplateLibrary
from biglog.tasks.parsing.parser import ZeroShotParser

Say = Callable[[str], None]

COUNTS: Final = (1, 2, 5, 10, 20, 50, 100)
"""Labels."""

AT: Final = 20
WANTED: Final = 0.95
"""Share of the quality with all labels that is wanted with so many."""

METRICS: Final = ("GA", "PA", "FGA", "FTA")
FIRST, PROPOSED, DRAWN = "first lines", "proposed", "drawn, half anomalous"
ALONE: Final = "proposed, these alone"
ALL: Final = "all"

Choose = Callable[[ZeroShotParser, pl.Series, int], list[int]]
_CHOICES: Final[dict[str, Choose]] = {
    FIRST: lambda parser, contents, count: first_distinct(contents, count),
    PROPOSED: proposed,
}
_SETTINGS: Final = Settings("forest", ("counts",))


def few_shot_parsing(
    folder: Path,
    statements: Sequence[Path],
    folds: Sequence[Sequence[str]],
    seeds: Sequence[int],
    cache: Path | None,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Scores parsers that were told some templates of a log's first half on its second half.

    Args:
        folder: The data.
        statements: Tables of log statements that the parsers learn from.
        folds: Domains that are left out together.
        seeds: Of the parsers.
        cache: Keeps which statements are near to the domains' forms; None keeps nothing.
        say: Is told what was done.

    Returns:
        `curves`: by way to choose the lines, number of labels (0 and `ALL` too) and metric, mean over domains
        and deviation over seeds; `share`: the same as share of all labels; `bar`.
    """
    domains = [domain for fold in folds for domain in fold]
    read = {domain: read_truth(domain, folder, GROUND_TRUTHS["loghub-2.0"]) for domain in domains}
    truths: Truths = {domain: (contents, templates) for domain, (_, contents, templates) in read.items()}
    table, near = statements_apart(folder, domains, statements, cache)
    runs = []
    for seed in seeds:
        parsers = taught_parsers(truths, folds, table, seed)
        runs.append(_parsed(truths, parsers))
        say(f"  parsing, seed {seed}: {_short(runs[-1])}")
    curves = _curves(runs)
    share = _shares(curves)
    return {
        "ground_truth_versions": {domain: version for domain, (version, _, _) in read.items()},
        "statements": asdict(near),
        "curves": curves,
        "share": share,
        "bar": {
            way: {metric: _held(row[str(AT)][metric]) for metric in METRICS} for way, row in share.items()
        },
    }


Told = dict[str, dict[str, dict[str, dict[str, float]]]]
"""By way, number of labels, domain and metric."""


def _parsed(truths: Truths, parsers: Mapping[str, ZeroShotParser]) -> Told:
    found: Told = {way: {} for way in _CHOICES}
    for domain, (contents, templates) in truths.items():
        parser, half = parsers[domain], len(contents) // 2
        score = _scorer(parser, contents, list(templates), half)
        none, whole = score([]), score(range(half))
        for way, choose in _CHOICES.items():
            lines = choose(parser, contents.head(half), max(COUNTS))
            told = {"0": none} | {str(count): score(lines[:count]) for count in COUNTS} | {ALL: whole}
            for count, row in told.items():
                found[way].setdefault(count, {})[domain] = row
    return found


def _scorer(
    parser: ZeroShotParser, contents: pl.Series, templates: Sequence[str], half: int
) -> Callable[[Sequence[int]], dict[str, float]]:
    """Returns what scores the second half of a log by which lines of the first are labelled."""
    known: dict[frozenset[str], dict[str, float]] = {}

    def score(lines: Sequence[int]) -> dict[str, float]:
        told = frozenset(templates[line] for line in lines)
        if told not in known:
            parsed = parsed_whole(parser, contents, TemplateLibrary(set(told))).to_list()
            every = scored(templates[half:], parsed[half:])["none"]
            known[told] = {metric: every[metric] for metric in METRICS}
        return known[told]

    return score


def _curves(runs: Sequence[Told]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for way, counts in runs[0].items():
        for count, domains in counts.items():
            means = [
                {m: float(np.mean([run[way][count][d][m] for d in domains])) for m in METRICS} for run in runs
            ]
            found.setdefault(way, {})[count] = {
                metric: {
                    "mean": float(np.mean([row[metric] for row in means])),
                    "sd": float(np.std([row[metric] for row in means])),
                }
                for metric in METRICS
            }
    return found


def _shares(curves: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    return {
        way: {
            count: {
                metric: row[metric]["mean"] / max(1e-9, counts[ALL][metric]["mean"]) for metric in METRICS
            }
            for count, row in counts.items()
        }
        for way, counts in curves.items()
    }


def _held(share: float) -> dict[str, Any]:
    return {"share": share, "holds": share >= WANTED}


def _short(run: Told) -> str:
    rows = run[PROPOSED]
    return ", ".join(f"{n} {np.mean([row['FTA'] for row in rows[n].values()]):.3f}" for n in rows)


def few_shot_detection(
    folder: Path, embedders: Embedders, seeds: Sequence[int], say: Say = lambda text: None
) -> dict[str, Any]:
    """Scores detectors that were told some labels, on every set that has labels to learn from.

    Args:
        folder: The data.
        embedders: Ours by domain and seed.
        seeds: Of ours, of the choice and of the draws.
        say: Is told what was done.

    Returns:
        `sets`: of each `curves`, F1 by way to choose and number of labels (`ALL` too), mean and deviation of
        seeds, and `share` of all labels; `validation`: shares by way and part; `bar`: of the `way` that these
        choose.
    """
    validation = _validated(folder, embedders, seeds)
    way = max(CHOSEN_FROM, key=lambda one: float(np.mean(list(validation[one].values()))))
    say(f"  validation: {validation}; chosen: {way}")
    found: dict[str, Any] = {}
    for case, (train, test, domain) in learning.labelled_cases(folder).items():
        runs = [_detected(train, test, embedders.ours(domain, seed), seed) for seed in seeds]
        curves = {
            way: {count: _spread([run[way][count] for run in runs]) for count in row}
            for way, row in runs[0].items()
        }
        share = {
            way: {count: one["mean"] / max(1e-9, row[ALL]["mean"]) for count, one in row.items()}
            for way, row in curves.items()
        }
        found[case] = {"set": sets.counted(test), "curves": curves, "share": share}
        say(f"  {case}: " + ", ".join(f"{one} {row[str(AT)]:.1%}" for one, row in share.items()))
    bar = {case: _held(told["share"][way][str(AT)]) for case, told in found.items()}
    return {
        "sets": found,
        "validation": validation,
        "bar": {"way": way, "sets": bar},
        "data": {name: checksum(folder / name) for name in _files()},
    }


CHOSEN_FROM: Final = (PROPOSED, ALONE)


def _validated(folder: Path, embedders: Embedders, seeds: Sequence[int]) -> dict[str, dict[str, float]]:
    """Share of the quality with all labels that `AT` labels give on validation parts, by way and part."""
    shares: dict[str, dict[str, float]] = {way: {} for way in CHOSEN_FROM}
    for case, (train, valid, domain) in validation_cases(folder).items():
        runs = [_detected(train, valid, embedders.ours(domain, seed), seed, (AT,)) for seed in seeds]
        for way, row in shares.items():
            few, every = (float(np.mean([run[way][n] for run in runs])) for n in (str(AT), ALL))
            row[case] = few / max(1e-9, every)
    return shares


def validation_cases(folder: Path) -> dict[str, tuple[Labelled, Labelled, str]]:
    """Returns parts that ways are chosen on: none has a group of a test.

    Args:
        folder: The data.

    Returns:
        Training part, validation part and domain of each.
    """
    bgl, (valid, test) = sets.labelled_lines(folder, "BGL"), sets.SUPERVISED_LINES["BGL"]
    sessions = sets.hdfs_100k(folder)["train"]
    cut = len(sessions.labels) * 7 // 10
    parts = [sessions.take(np.arange(*ends)) for ends in ((0, cut), (cut, len(sessions.labels)))]
    windows = {
        f"BGL, windows of {size}": (bgl.windows(size, 0, valid), bgl.windows(size, valid, test), "BGL")
        for size in (20, 100)
    }
    return {
        "HDFS": (sets.hdfs_labelled(folder), sets.hdfs_valid(folder), "HDFS"),
        "HDFS_100k": (parts[0], parts[1], "HDFS"),
        **windows,
    }


def _files() -> list[str]:
    used = ("hdfs_labelled", "hdfs_valid", "hdfs_test", "hdfs_templates", "hdfs_100k", "BGL")
    return [sets.FILES[name] for name in used]


def _detected(
    train: Labelled, test: Labelled, encode: Encode, seed: int, counts: Sequence[int] = COUNTS
) -> dict[str, dict[str, float]]:
    own = Settings(_SETTINGS.method, _SETTINGS.features, seed=seed)
    whole = learning.f1_of(own, train, train.labels, test, encode)["f1"]
    found: dict[str, dict[str, float]] = {PROPOSED: {}, ALONE: {}, DRAWN: {}}
    for count in counts:
        rows = learning.proposed(train, encode, seed, count)
        told = learning.told_of(train, rows)
        found[PROPOSED][str(count)] = learning.f1_of(own, train, told, test, encode)["f1"]
        drawn = learning.drawn(train.labels, seed, count)
        for way, chosen in ((ALONE, rows), (DRAWN, drawn)):
            found[way][str(count)] = learning.f1_alone(own, train.take(chosen), test, encode)["f1"]
    return {way: row | {ALL: whole} for way, row in found.items()}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "sd": float(np.std(values))}
