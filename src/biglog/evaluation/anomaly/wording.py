"""How often a reworded log statement is told from another one, and the weights of the rule that does so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from biglog.data.rewording import reword_share
from biglog.data.statements import read_statements
from biglog.evaluation.anomaly.systems import OURS, Embedders, averaged, characters, words
from biglog.tasks.anomaly.known import Encode, unit
from biglog.tasks.anomaly.matching import Matching, candidates
from biglog.tasks.groups import Floats

Say = Callable[[str], None]

MOST: Final = 600
"""Statements of a project, half of them known."""

_WORDY: Final = "[A-Za-z]{3}"


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Reworded and other statements of a project, each beside the nearest known ones, nearest first."""

    evidence: Floats
    alike: NDArray[np.bool_]
    same: NDArray[np.bool_]


def wording(statements: Path, embedders: Embedders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Learns the rule on all projects but one, and asks it of that one; for ours and for baselines.

    Args:
        statements: A table of log statements.
        embedders: Ours by seed.
        seeds: Of ours, and of the rewording.
        say: Is told what was done.
    """
    table = read_statements(statements)
    ways: dict[str, Callable[[int], Encode]] = {
        "words": lambda seed: words,
        "character n-grams": lambda seed: characters,
        "MiniLM-L6": lambda seed: embedders.minilm(),
        OURS: lambda seed: embedders.ours("HDFS", seed),
    }
    found = {}
    for name, encode in ways.items():
        runs = []
        for seed in seeds:
            runs.append(_accuracy(_projects(table, encode(seed), seed)))
        found[name] = averaged(runs)
        say(f"  wording, {name}: accuracy {found[name]['accuracy']['mean']:.4f}")
    shipped = Matching()
    return {
        "protocol": "half of a project's statements are known; which of their rewordings, and of the other "
        "half, are another wording of the nearest known one? Rule learnt on the other projects",
        "systems": found,
        "shipped_weights": [shipped.cosine, shipped.margin, shipped.overlap, shipped.bias],
    }


def _projects(table: pl.DataFrame, encode: Encode, seed: int) -> dict[str, _Pairs]:
    return {
        project: _pairs(_forms(table.filter(pl.col("project") == project)["template"], seed), encode, seed)
        for project in table["project"].unique().sort().to_list()
    }


def _forms(templates: pl.Series, seed: int) -> list[str]:
    """Statements as normal forms: an argument is a code to the encoder."""
    spaced = templates.str.replace_all("<*>", " [CODE] ", literal=True).str.replace_all(" +", " ")
    forms = spaced.str.strip_chars().unique().sort()
    forms = forms.filter(forms.str.contains(_WORDY))
    drawn: list[str] = forms.sample(min(MOST, len(forms)), seed=seed, shuffle=True).to_list()
    return drawn


def _pairs(forms: list[str], encode: Encode, seed: int) -> _Pairs:
    known, others = forms[: len(forms) // 2], forms[len(forms) // 2 :]
    wordings = reword_share(known, 1.0, seed)
    new = pl.Series([wordings[form] for form in known] + others, dtype=pl.String)
    near = candidates(new, unit(encode(new)), pl.Series(known), unit(encode(pl.Series(known))))
    rows = np.arange(len(new))
    own = (rows[:, None] == near.index) & (rows < len(known))[:, None]
    return _Pairs(near.evidence(), near.alike_in_trouble, own)


def _accuracy(projects: dict[str, _Pairs]) -> dict[str, Any]:
    shares, weights = [], []
    for left_out, asked in projects.items():
        taught = [pairs for name, pairs in projects.items() if name != left_out]
        alike = [pairs.alike[:, 0] for pairs in taught]
        evidence = np.concatenate([pairs.evidence[:, 0][a] for pairs, a in zip(taught, alike, strict=True)])
        same = np.concatenate([pairs.same[:, 0][a] for pairs, a in zip(taught, alike, strict=True)])
        rule = LogisticRegression(C=100.0, max_iter=2000).fit(evidence, same)
        shares.append(_right(rule, asked))
        weights.append([*rule.coef_[0].tolist(), float(rule.intercept_[0])])
    names = ("cosine", "margin", "overlap", "bias")
    means = dict(zip(names, map(float, np.mean(weights, axis=0)), strict=True))
    return {"accuracy": float(np.mean(shares)), "weights": means}


def _right(rule: LogisticRegression, asked: _Pairs) -> float:
    """Share of statements of which the likeliest known one is theirs, or none likely where there is none."""
    likeness = rule.decision_function(asked.evidence.reshape(-1, 3)).reshape(asked.alike.shape)
    likeness[~asked.alike] = -np.inf
    best, rows = likeness.argmax(axis=1), np.arange(len(likeness))
    said = likeness[rows, best] > 0
    return float(np.where(said, asked.same[rows, best], ~asked.same.any(axis=1)).mean())
