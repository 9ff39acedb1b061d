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

CANDIDATES: Final = 5
"""Known forms that a new one may be another wording of: the nearest ones."""

_WORD: Final = re.compile(r"[A-Za-z]+")
_CHUNK: Final = 4096
_LEAST_MISSING: Final = 0.01
_LEAST_ALIKE: Final = np.log(0.05 / 0.95)
"""Log odds of a likeness of 5 % by the texts alone."""


@dataclass(frozen=True)
class Matching:
    """The rule: likeness is the logistic function of a weighted sum, and from `threshold` on two are one.

    Attributes:
        cosine: Weight of the cosine of the new form and a known one.
        margin: Weight of how much nearer that is than the nearest other one; it may be less than 0.
        overlap: Weight of the share of words that the shorter of both has in common with the other.
        bias: What is added.
        threshold: Likeness from which on the new form is read as the known one; above 1 never. It is
            below even odds: another wording that is not read as one alarms whenever it comes from then on.
    """

    cosine: float = 4.2
    margin: float = 7.7
    overlap: float = 6.5
    bias: float = -9.2
    threshold: float = 0.3

    def likeness(self, evidence: Floats, share: Floats | None = None) -> Floats:
        """Returns how likely forms are other wordings of known ones, shape (...).

        That a known form is missing where it should be speaks for the new one in its place: it misses surely
        if it was reworded, and else in as many groups as did without it before (Bayes' rule). It speaks for
        none that is unlike it: in some group some form is missing by chance.

        Args:
            evidence: As of `Candidates.evidence`, shape (..., 3).
            share: Share of the known groups that have the known form, below 1, shape (...).
        """
        summed = evidence @ np.array([self.cosine, self.margin, self.overlap]) + self.bias
        if share is not None:
            alike = summed >= _LEAST_ALIKE
            summed = np.where(alike, summed - np.log(np.maximum(1.0 - share, _LEAST_MISSING)), summed)
        return np.asarray(1.0 / (1.0 + np.exp(-summed)))


READ_ANEW: Final = Matching()
"""The rule as it comes."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The nearest known forms of each of some new ones, nearest first: k of them, or as many as are known.

    Attributes:
        index: Indices of the known forms, shape (n, k).
        cosine: Their cosines, shape (n, k).
        rest: Cosine of the next one, at least 0, shape (n,).
        overlap: Shares of words (see `Matching`), shape (n, k).
        alike_in_trouble: Whether both or neither speak of trouble, shape (n, k).
    """

    index: NDArray[np.intp]
    cosine: Floats
    rest: Floats
    overlap: Floats
    alike_in_trouble: NDArray[np.bool_]

    def take(self, rows: NDArray[np.integer]) -> Candidates:
        """Returns those of some of the new forms."""
        return Candidates(
            self.index[rows],
            self.cosine[rows],
            self.rest[rows],
            self.overlap[rows],
            self.alike_in_trouble[rows],
        )

    def evidence(self, out: NDArray[np.bool_] | None = None) -> Floats:
        """Returns cosine, margin and overlap of each candidate, shape (n, k, 3).

        A rival that is out of the question does not speak against a candidate. That it is none does not speak
        for one: the new form may be another wording of nothing.

        Args:
            out: Which candidates are out of the question, shape (n, k).
        """
        margins = self._margins(self.cosine)
        if out is not None:
            without = self._margins(np.where(out, 0.0, self.cosine))
            margins = np.where(margins < 0.0, np.minimum(without, 0.0), margins)
        return np.stack([self.cosine, margins, self.overlap], axis=2)

    def _margins(self, rivals: Floats) -> Floats:
        """How much nearer each candidate is than the nearest of the others, shape (n, k)."""
        margins = np.empty_like(self.cosine)
        for at in range(self.cosine.shape[1]):
            others = np.delete(rivals, at, axis=1).max(axis=1, initial=0.0)
            margins[:, at] = self.cosine[:, at] - np.maximum(self.rest, others)
        return margins


def candidates(new: pl.Series, vectors: Vectors, known: pl.Series, known_vectors: Vectors) -> Candidates:
    """Finds the known forms that new ones may be other wordings of.

    Args:
        new: New normal forms, dtype String, shape (n,).
        vectors: Their embeddings, of length 1, shape (n, hidden).
        known: Known normal forms, shape (m,), m > 0.
        known_vectors: Their embeddings, of length 1, shape (m, hidden).
    """
    index, cosine, rest = _nearest(vectors, known_vectors, CANDIDATES)
    words, known_words = _words(new), _words(known)
    pairs = ((words[row], known_words[at]) for row, found in enumerate(index.tolist()) for at in found)
    overlap = np.array([len(a & b) / max(1, min(len(a), len(b))) for a, b in pairs]).reshape(index.shape)
    trouble, known_trouble = word_severity(new)[0] > 0, word_severity(known)[0] > 0
    return Candidates(index, cosine, rest, overlap, trouble[:, None] == known_trouble[index])


def nearest_known(vectors: Vectors, known: Vectors) -> tuple[NDArray[np.intp], Floats]:
    """Finds the nearest of known vectors.

    Args:
        vectors: Of length 1, shape (n, hidden).
        known: Of length 1, shape (m, hidden), m > 0.

    Returns:
        Its index and its cosine, each of shape (n,).
    """
    index, cosine, _ = _nearest(vectors, known, 1)
    return index[:, 0], cosine[:, 0]


def _nearest(vectors: Vectors, known: Vectors, most: int) -> tuple[NDArray[np.intp], Floats, Floats]:
    """The nearest ones, nearest first, their cosines, and the cosine of the next, at least 0."""
    width = min(most, len(known))
    index, cosine = np.empty((len(vectors), width), np.intp), np.empty((len(vectors), width))
    rest = np.empty(len(vectors))
    for start in range(0, len(vectors), _CHUNK):
        part = slice(start, start + _CHUNK)
        products = vectors[part] @ known.T
        rows = np.arange(len(products))
        for at in range(width):
            index[part, at] = best = products.argmax(axis=1)
            cosine[part, at] = products[rows, best]
            products[rows, best] = -1.0
        rest[part] = np.maximum(products.max(axis=1), 0.0)
    return index, cosine, rest


def _words(texts: pl.Series) -> Sequence[set[str]]:
    return [{word.lower() for word in _WORD.findall(text)} for text in texts.to_list()]
