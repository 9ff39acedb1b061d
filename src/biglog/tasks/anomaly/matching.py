"""Whether a new normal form is another wording of a known one: a rule with three weights, learnt elsewhere.

The weights were learnt on log statements of source code that `biglog.data.rewording` reworded, against other
statements of the same project; no log had a part in it (`biglog.evaluation.anomaly.wording` learns them anew,
and says how often they are right on projects that they were not learnt from).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.tasks.anomaly.evidence import word_severity
from biglog.tasks.groups import Floats

Vectors = NDArray[np.float32]

_WORD: Final = re.compile(r"[A-Za-z]+")
_CHUNK: Final = 4096
_LEAST_MISSING: Final = 0.01


@dataclass(frozen=True)
class Matching:
    """The rule: likeness is the logistic function of a weighted sum, and from `threshold` on two are one.

    Attributes:
        cosine: Weight of the cosine of the new form and its nearest known one.
        margin: Weight of how much nearer that is than the next.
        overlap: Weight of the share of words that the shorter of both has in common with the other.
        bias: What is added.
        threshold: Likeness from which on the new form is read as the known one; above 1 never.
    """

    cosine: float = 4.2
    margin: float = 7.7
    overlap: float = 6.5
    bias: float = -9.2
    threshold: float = 0.5

    def likeness(self, evidence: Floats, share: Floats | None = None) -> Floats:
        """Returns how likely forms are other wordings of their nearest known ones, shape (n,).

        That a known form is missing where it should be speaks for the new one in its place: it misses surely
        if it was reworded, and else in as many groups as did without it before (Bayes' rule).

        Args:
            evidence: As `Nearest.evidence`, shape (n, 3).
            share: Share of the known groups that have the nearest known form, below 1, shape (n,).
        """
        summed = evidence @ np.array([self.cosine, self.margin, self.overlap]) + self.bias
        if share is not None:
            summed = summed - np.log(np.maximum(1.0 - share, _LEAST_MISSING))
        return np.asarray(1.0 / (1.0 + np.exp(-summed)))


READ_ANEW: Final = Matching()
"""The rule as it comes."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest known form of each of some new ones.

    Attributes:
        index: Index of the known form, shape (n,).
        cosine: Its cosine, shape (n,).
        evidence: Cosine, margin and overlap (see `Matching`), shape (n, 3).
        alike_in_trouble: Whether both or neither speak of trouble, shape (n,).
    """

    index: NDArray[np.intp]
    cosine: Floats
    evidence: Floats
    alike_in_trouble: NDArray[np.bool_]


def nearest_forms(new: pl.Series, vectors: Vectors, known: pl.Series, known_vectors: Vectors) -> Nearest:
    """Finds the nearest known form of each new one.

    Args:
        new: New normal forms, dtype String, shape (n,).
        vectors: Their embeddings, of length 1, shape (n, hidden).
        known: Known normal forms, shape (m,), m > 0.
        known_vectors: Their embeddings, of length 1, shape (m, hidden).
    """
    index, cosine, second = _two_nearest(vectors, known_vectors)
    others = known.gather(index)
    overlap = _overlaps(new.to_list(), others.to_list())
    trouble = word_severity(new)[0] > 0
    alike: NDArray[np.bool_] = trouble == (word_severity(others)[0] > 0)
    evidence = np.column_stack([cosine, np.maximum(cosine - second, 0.0), overlap])
    return Nearest(index, cosine, evidence, alike)


def nearest_known(vectors: Vectors, known: Vectors) -> tuple[NDArray[np.intp], Floats]:
    """Finds the nearest of known vectors.

    Args:
        vectors: Of length 1, shape (n, hidden).
        known: Of length 1, shape (m, hidden), m > 0.

    Returns:
        Its index and its cosine, each of shape (n,).
    """
    return _two_nearest(vectors, known)[:2]


def _two_nearest(vectors: Vectors, known: Vectors) -> tuple[NDArray[np.intp], Floats, Floats]:
    """The nearest, its cosine, and the cosine of the next, at least 0."""
    index, cosine, second = np.empty(len(vectors), np.intp), np.empty(len(vectors)), np.empty(len(vectors))
    for start in range(0, len(vectors), _CHUNK):
        part = slice(start, start + _CHUNK)
        products = vectors[part] @ known.T
        rows = np.arange(len(products))
        index[part] = best = products.argmax(axis=1)
        cosine[part] = products[rows, best]
        products[rows, best] = -1.0
        second[part] = np.maximum(products.max(axis=1), 0.0)
    return index, cosine, second


def _overlaps(one: Sequence[str], other: Sequence[str]) -> Floats:
    pairs = zip(map(_words, one), map(_words, other), strict=True)
    return np.array([len(a & b) / max(1, min(len(a), len(b))) for a, b in pairs])


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
