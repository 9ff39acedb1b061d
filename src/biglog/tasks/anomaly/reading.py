"""Reads new normal forms as known ones, each group for itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from biglog.tasks.anomaly.matching import Candidates, Matching
from biglog.tasks.groups import Floats, Groups


def read_as(groups: Groups, known: int, found: Candidates, share: Floats, matching: Matching) -> Groups:
    """Returns groups in which new forms have the code of the known form that they are another wording of.

    Known forms that stand in a group are out of the question there, and no rivals to those that do not. Of
    the others, the likeliest is taken. Of several new forms that one group could read as the same, the
    likeliest is, and the others stay new.

    Args:
        groups: In known forms and, behind them, new ones.
        known: How many are known.
        found: What each new form may be.
        share: Share of the known groups that have each known form, below 1, shape (known,).
        matching: When two are one.
    """
    lines = np.flatnonzero(groups.codes >= known)
    if not len(lines) or matching.threshold > 1:
        return groups
    places = groups.owners[lines].astype(np.int64) * (len(groups.forms) - known) + groups.codes[lines] - known
    pairs, inverse = np.unique(places, return_inverse=True)
    owner, new = np.divmod(pairs, len(groups.forms) - known)
    meant, likeness = _meant(new, _stands(groups.counts, owner, found.index[new]), found, share, matching)
    # Of the new forms that one group could read as the same, the likeliest is.
    claims = np.unique(owner * known + meant, return_inverse=True)[1]
    best = np.full(len(pairs), -np.inf)
    np.maximum.at(best, claims, likeness)
    read = ((likeness >= matching.threshold) & (likeness == best[claims]))[inverse]
    codes = groups.codes.copy()
    codes[lines[read]] = meant[inverse[read]]
    return Groups(groups.forms, codes, groups.offsets, groups.ids)


def _stands(counts: csr_matrix, owner: NDArray[np.int64], index: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether known forms stand in a group, shape (pairs, k)."""
    width = counts.shape[1]
    rows = np.repeat(np.arange(counts.shape[0], dtype=np.int64), np.diff(counts.indptr))
    there = np.sort(rows * width + counts.indices)
    asked = owner[:, None] * width + index
    at = np.minimum(np.searchsorted(there, asked), len(there) - 1)
    stands: NDArray[np.bool_] = there[at] == asked
    return stands


def _meant(
    new: NDArray[np.int64], stands: NDArray[np.bool_], found: Candidates, share: Floats, matching: Matching
) -> tuple[NDArray[np.int64], Floats]:
    """The likeliest known form of each new one, and its likeness, -1 where none comes into question.

    Both depend on nothing but the new form and which of its candidates stand in the group: each such case is
    worked out once.
    """
    bits = 1 << np.arange(stands.shape[1], dtype=np.int64)
    keys = (new << stands.shape[1]) + stands @ bits
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    case, out = found.take(new[first]), stands[first]
    likeness = matching.likeness(case.evidence(out), share[case.index])
    likeness[out | ~case.alike_in_trouble] = -1.0
    best = likeness.argmax(axis=1)
    rows = np.arange(len(best))
    return case.index[rows, best][inverse].astype(np.int64), likeness[rows, best][inverse]
