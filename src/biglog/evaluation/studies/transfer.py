"""Domain transfer, 16 x 15: a rule for "the same event?" is learnt in one domain and asked in another.

The rule (`pairs.Rule`) is the same for every way to embed forms, as is what it learns from: the labelled
events of the source alone. The metric was chosen before anything was scored: F1 of the pairs that are one
event, since the rule brings its threshold with it, and a threshold that does not travel is what transfer
fails by. Average precision, which asks for the order of pairs only, and grouping accuracy of lines are told
beside it.

Our encoder for a target is one that left the target's fold out of its pretraining: it has seen no line of the
target. It has seen the other domains, with the labels of their events, and with them most sources; a baseline
has not. `strict` are the pairs of domains of one fold, of which it has seen neither.

A rule without any learning, one first word and as many words, is far better than any embedder alone. So every
embedder is scored a second time with these two facts in its evidence (`with_shape`; added after the first
results were seen, and no part of the bar).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from biglog.evaluation.anomaly.systems import OURS, Embedders
from biglog.evaluation.probes.baselines import character_tfidf, word_tfidf
from biglog.evaluation.probes.labelled import read_events
from biglog.evaluation.probes.vectors import Vectors, fitted
from biglog.evaluation.studies.pairs import EVIDENCE, Domain, Floats, Rule, evidence, pairs_of, scored
from biglog.logs.domains import DOMAINS

Say = Callable[[str], None]
Vectorise = Callable[[Domain], Vectors]
"""Vectors of a domain's forms, shape (forms, width)."""

METRIC: Final = "f1"
METRICS: Final = ("f1", "average_precision", "GA")
WORDS, CHARACTERS, MINILM = "TF-IDF of words", "character n-grams", "MiniLM-L6"
TRIVIAL: Final = "first word and number of words"
SHAPE: Final = ("one first word", "as many words")
"""What `with_shape` adds to the evidence, in order."""
RIVALS: Final = (WORDS, MINILM)
"""What ours is counted against."""

WANTED: Final = 12
"""Targets of sixteen in which ours is to be above both."""

Scores = dict[str, dict[str, dict[str, float]]]
"""By source, target and metric."""


def transfer(
    folder: Path,
    embedders: Embedders,
    folds: Sequence[Sequence[str]],
    seeds: Sequence[int],
    say: Say = lambda text: None,
    domains: Sequence[str] = tuple(DOMAINS),
) -> dict[str, Any]:
    """Scores every way to embed forms on every pair of domains.

    Args:
        folder: The data.
        embedders: Ours by domain and seed, and MiniLM.
        folds: Domains that encoders left out together.
        seeds: Of ours.
        say: Is told what was done.
        domains: Sources and targets.

    Returns:
        `systems`: of each its matrix (means over seeds), means over sources by target, over all and over
        sources of the target's fold; `wins` and `bar`; `with_shape`: the same with `SHAPE` in the evidence;
        `domains`: how much there is to find.
    """
    labelled = read_events(folder, domains)
    parts = {name: Domain.of(name, labelled.lines) for name in domains}
    runs, shaped = _runs(parts, embedders, folds, seeds, say)
    systems, with_shape = (
        {name: _told(scores, folds) for name, scores in one.items()} for one in (runs, shaped)
    )
    return {
        "protocol": " ".join((__doc__ or "").split()),
        "metric": METRIC,
        "evidence": list(EVIDENCE),
        "data": labelled.files,
        "ground_truth_versions": labelled.versions,
        "folds": [list(fold) for fold in folds],
        "seeds": list(seeds),
        "domains": {name: _counted(part) for name, part in parts.items()},
        "systems": systems,
        "wins": {metric: _wins(systems, "by_target", metric) for metric in METRICS},
        "wins_strict": {metric: _wins(systems, "by_target_strict", metric) for metric in METRICS},
        "bar": _bar(systems),
        "with_shape": {
            "evidence": [*EVIDENCE, *SHAPE],
            "systems": with_shape,
            "wins": {metric: _wins(with_shape, "by_target", metric) for metric in METRICS},
            "wins_strict": {metric: _wins(with_shape, "by_target_strict", metric) for metric in METRICS},
        },
    }


Runs = dict[str, list[Scores]]


def _runs(
    parts: Mapping[str, Domain],
    embedders: Embedders,
    folds: Sequence[Sequence[str]],
    seeds: Sequence[int],
    say: Say,
) -> tuple[Runs, Runs]:
    """Scores every system, by vectors alone and with `SHAPE`; ours once for each seed."""
    minilm = embedders.minilm()
    ways: dict[str, Vectorise] = {
        WORDS: lambda domain: fitted(word_tfidf(masked=True), domain.forms)(domain.forms),
        CHARACTERS: lambda domain: fitted(character_tfidf(), domain.forms)(domain.forms),
        MINILM: lambda domain: minilm(pl.Series(domain.forms)),
    }
    pairs = {OURS: [_ours(parts, embedders, folds, seed) for seed in seeds]}
    for name, vectorise in ways.items():
        known = {one: evidence(vectorise(part)) for one, part in parts.items()}
        pairs[name] = [_twice(parts, known)]
    runs = {name: [alone for alone, _ in each] for name, each in pairs.items()}
    shaped = {name: [beside for _, beside in each] for name, each in pairs.items()}
    runs[TRIVIAL] = shaped[TRIVIAL] = [_trivial(parts)]
    for name in runs:
        say(f"  {name}: {_average(runs[name]):.3f}, with shape {_average(shaped[name]):.3f}")
    return runs, shaped


def _ours(
    parts: Mapping[str, Domain], embedders: Embedders, folds: Sequence[Sequence[str]], seed: int
) -> tuple[Scores, Scores]:
    """Scores ours, each target by the encoder that left its fold out."""
    found: tuple[Scores, Scores] = ({source: {} for source in parts}, {source: {} for source in parts})
    for fold in folds:
        targets = [name for name in fold if name in parts]
        if targets:
            encode = embedders.ours(targets[0], seed)
            known = {name: evidence(encode(pl.Series(part.forms))) for name, part in parts.items()}
            for whole, some in zip(found, _twice(parts, known, targets), strict=True):
                for source, row in some.items():
                    whole[source] |= row
    return found


def _twice(
    parts: Mapping[str, Domain], known: Mapping[str, Floats], targets: Sequence[str] | None = None
) -> tuple[Scores, Scores]:
    """Scores by vectors alone, and with `SHAPE` beside them."""
    shaped = {name: np.column_stack([known[name], shape(part)]) for name, part in parts.items()}
    return _matrix(parts, known, targets), _matrix(parts, shaped, targets)


def _matrix(
    parts: Mapping[str, Domain], known: Mapping[str, Floats], targets: Sequence[str] | None = None
) -> Scores:
    """Scores every source's rule on every target."""
    found: Scores = {}
    for source, part in parts.items():
        rule = Rule.learnt(known[source], part.same)
        asked = [name for name in (targets or parts) if name != source]
        found[source] = {name: scored(parts[name], rule.odds(known[name])) for name in asked}
    return found


def _trivial(parts: Mapping[str, Domain]) -> Scores:
    """Scores the rule that two forms with one first word and as many words are one event; unlearnt."""
    alike = {name: shape(part).all(axis=1) for name, part in parts.items()}
    told = {name: scored(part, np.where(alike[name], 1.0, -1.0)) for name, part in parts.items()}
    return {source: {name: told[name] for name in parts if name != source} for source in parts}


def shape(domain: Domain) -> Floats:
    """Whether the forms of each pair have one first word, and as many words: `SHAPE`, shape (pairs, 2)."""
    words = [form.split() for form in domain.forms]
    first = np.unique([one[0] if one else "" for one in words], return_inverse=True)[1]
    many = np.array([len(one) for one in words])
    left, right = pairs_of(len(words))
    return np.column_stack([first[left] == first[right], many[left] == many[right]]).astype(np.float64)


def _counted(part: Domain) -> dict[str, int]:
    same = part.same
    return {
        "lines": len(part.line_forms),
        "forms": len(part.forms),
        "events": len(np.unique(part.line_events)),
        "pairs": len(same),
        "same": int(same.sum()),
    }


def _told(runs: Sequence[Scores], folds: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Means over seeds: the matrix, and by target over sources; `sd` over seeds of the mean of all."""
    fold_of = {name: number for number, fold in enumerate(folds) for name in fold}
    sources = list(runs[0])
    matrix = {
        source: {target: _means([run[source][target] for run in runs]) for target in runs[0][source]}
        for source in sources
    }
    over = {target: [row[target] for row in matrix.values() if target in row] for target in sources}
    strict = {
        target: [
            row[target]
            for source, row in matrix.items()
            if target in row and fold_of.get(source) == fold_of.get(target)
        ]
        for target in sources
    }
    averages = [_average([run]) for run in runs]
    return {
        "matrix": matrix,
        "by_target": {target: _means(rows) for target, rows in over.items()},
        "by_target_strict": {target: _means(rows) for target, rows in strict.items() if rows},
        "mean": float(np.mean(averages)),
        "sd": float(np.std(averages)),
        "runs": len(runs),
    }


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {metric: float(np.mean([row[metric] for row in rows])) for metric in METRICS}


def _average(runs: Sequence[Scores]) -> float:
    """Mean of the metric over targets, each the mean over its sources."""
    return float(np.mean([cell[METRIC] for run in runs for row in run.values() for cell in row.values()]))


def _wins(systems: Mapping[str, Any], over: str, metric: str) -> dict[str, list[str]]:
    """Targets in which ours is above each other system, and above both rivals."""
    ours = systems[OURS][over]
    found = {
        other: [target for target in ours if ours[target][metric] > row[over][target][metric]]
        for other, row in systems.items()
        if other != OURS
    }
    both = [target for target in ours if all(target in found[rival] for rival in RIVALS)]
    return found | {"both rivals": both}


def _bar(systems: Mapping[str, Any]) -> dict[str, Any]:
    wins = _wins(systems, "by_target", METRIC)["both rivals"]
    rivals = " and ".join(RIVALS)
    return {
        "wanted": f"above {rivals} in at least {WANTED} of 16 target domains ({METRIC} of pairs)",
        "found": len(wins),
        "of": len(systems[OURS]["by_target"]),
        "holds": len(wins) >= WANTED,
    }
