"""How odd an event is, from what is known without labels: five pieces of evidence, and their sum.

Each piece is 0 to 1. All weights are stated here and fixed; none was fitted to labelled logs. Evidence adds
up as independent reasons do: ``anomaly_score = 1 - prod(1 - weight * evidence)``; higher is more anomalous.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.logs.trouble import DENIED, TROUBLE

Floats = NDArray[np.float64]

WEIGHTS = {"new": 0.7, "severity": 0.6, "rarity": 0.35, "isolation": 0.35, "burst": 0.25}
"""What each piece of evidence can add on its own, at most."""

LEVEL_SEVERITY = {
    "EMERGENCY": 1.0,
    "ALERT": 1.0,
    "CRITICAL": 1.0,
    "FATAL": 1.0,
    "ERROR": 0.8,
    "WARNING": 0.4,
    "NOTICE": 0.1,
}
"""Severity of a header's level; of any other level, 0."""

_COMMON_SHARE = 1e-4
_FEW_COMMON = 5
_CHUNK = 4096


def word_severity(texts: pl.Series) -> tuple[Floats, list[str]]:
    """Severity that the words of a text give away.

    Args:
        texts: Contents or normal forms, shape (n,).

    Returns:
        Severity, 0 to 1, shape (n,), and for each text the word that said so, or "".
    """
    spoken = texts.str.replace_all(DENIED, " ")
    severity = pl.Series("severity", np.zeros(len(texts)))
    word = pl.Series("word", [""] * len(texts), dtype=pl.String)
    for weight, words in TROUBLE:
        found = spoken.str.extract(rf"(?i)\b({words})\b", 1)
        first = found.is_not_null() & (severity == 0.0)
        severity = pl.Series("severity", np.where(first.to_numpy(), weight, severity.to_numpy()))
        word = found.fill_null("").zip_with(first, word)
    return severity.to_numpy(), word.to_list()


def severity(level: Floats, has_level: NDArray[np.bool_], words: Floats) -> Floats:
    """Joins what the header's level and what the words say.

    A header that says INFO is believed more than a word such as ``failed`` in its message, but not wholly.

    Args:
        level: Severity of the header's level, shape (n,).
        has_level: Whether the header had a level, shape (n,).
        words: Severity of the words, shape (n,).
    """
    return np.where(has_level, np.maximum(level, 0.5 * words), words)


def rarity(counts: NDArray[np.int64]) -> Floats:
    """How rare an event is: 1 for one line, 0 for all of them, even steps on a logarithmic scale between.

    Args:
        counts: Lines of each event, shape (n,); of all events, so that they add up to the log.
    """
    total = counts.sum()
    if total <= 1:
        return np.zeros(len(counts))
    scores: Floats = 1.0 - np.log(np.maximum(counts, 1)) / np.log(total)
    return scores


def is_common(counts: NDArray[np.int64], severities: Floats) -> NDArray[np.bool_]:
    """Which events may stand as examples of the normal: frequent ones that do not report trouble.

    A fatal error that repeats is frequent, and no less an error: severity keeps it out.

    Args:
        counts: Lines of each event, shape (n,).
        severities: Severity of each event, shape (n,).
    """
    frequent = counts >= max(_FEW_COMMON, _COMMON_SHARE * counts.sum())
    calm = severities < 0.5
    common = frequent & calm
    return common if common.any() else calm


def nearest(vectors: NDArray[np.float32], common: NDArray[np.intp]) -> tuple[Floats, NDArray[np.intp]]:
    """Distance of each vector to the nearest of the common ones, itself left out.

    Args:
        vectors: Embeddings, shape (n, hidden).
        common: Indices of the common ones among them.

    Returns:
        Cosine distance (0 to 2), shape (n,), and the index of the nearest common vector, -1 without any.
    """
    distance, index = np.full(len(vectors), np.nan), np.full(len(vectors), -1, dtype=np.intp)
    if not len(common) or (len(common) == 1 and len(vectors) == 1):
        return distance, index
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    column = np.full(len(vectors), -1, dtype=np.intp)
    column[common] = np.arange(len(common))
    for start in range(0, len(vectors), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(vectors)))
        similarity = unit[rows] @ unit[common].T
        own = column[rows] >= 0
        similarity[np.flatnonzero(own), column[rows][own]] = -np.inf
        best = similarity.argmax(axis=1)
        value = similarity[np.arange(len(rows)), best]
        seen = np.isfinite(value)
        distance[rows[seen]] = np.maximum(0.0, 1.0 - value[seen])
        index[rows[seen]] = common[best[seen]]
    return distance, index


def isolation(distance: Floats) -> Floats:
    """Where a distance stands among all of them, 0 to 1: embeddings have no scale of their own.

    Args:
        distance: Distance to the nearest common event, shape (n,); NaN is unknown and gives 0.
    """
    known = np.isfinite(distance)
    scores = np.zeros(len(distance))
    if known.sum() > 1:
        ordered = np.sort(distance[known])
        below = np.searchsorted(ordered, distance[known], side="left")
        scores[known] = below / (known.sum() - 1)
    return scores


def combine(evidence: dict[str, Floats]) -> Floats:
    """Adds up evidence to the anomaly score.

    Args:
        evidence: Pieces of evidence by their names in `WEIGHTS`, each of shape (n,), 0 to 1.

    Returns:
        Scores in [0, 1], shape (n,).
    """
    calm = np.ones(len(next(iter(evidence.values()))))
    for name, values in evidence.items():
        calm = calm * (1.0 - WEIGHTS[name] * np.clip(values, 0.0, 1.0))
    return np.asarray(1.0 - calm)
