"""Which groups of a log are not to be taken for normal where nobody has said that it is.

A detector of novelty that learns from alerts takes them for what is normal, and stays silent when they come
again. Where a log has to be learnt from as it is, groups are therefore left out that hold what speaks of
trouble and what most groups do without: words (`biglog.tasks.anomaly.evidence`) are a witness of its own,
that does not depend on what was learnt. Noise that most groups have is how the system is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from biglog.tasks.anomaly.evidence import word_severity
from biglog.tasks.groups import Groups

LEAST_SEVERITY: Final = 0.6
"""Severity of words from which on a line speaks of trouble: error, failed, and worse."""

MOST_GROUPS: Final = 0.5
"""Share of groups from which on a form is how the system is, whatever it says."""

LEAST_LEFT: Final = 0.2
"""Share of the groups that must be left; else none is left out."""


def suspects(groups: Groups) -> NDArray[np.bool_]:
    """Tells the groups that are not to be taken for normal unseen.

    Args:
        groups: Of a log of which it is not known whether it is normal.

    Returns:
        Whether each is suspect, shape (groups,); none of them where hardly any would be left.
    """
    present = groups.counts > 0
    share = np.asarray(present.sum(axis=0)).ravel() / len(groups)
    trouble = (word_severity(groups.forms)[0] >= LEAST_SEVERITY) & (share < MOST_GROUPS)
    suspect: NDArray[np.bool_] = np.asarray(present @ trouble.astype(np.int64)).ravel() > 0
    left = int((~suspect).sum())
    return suspect if left >= max(1, LEAST_LEFT * len(groups)) else np.zeros(len(groups), dtype=np.bool_)


def taken_for_normal(groups: Groups, method: str) -> tuple[Groups, NDArray[np.intp]]:
    """Leaves suspect groups out of a log that nobody has called normal, where the method is one of novelty.

    Rules on sets and proportions of events, and the other methods, learn how often things are, and are not
    blinded by the few.

    Args:
        groups: Of the log.
        method: Name of the method.

    Returns:
        The groups to learn from, and which the others are.
    """
    odd = suspects(groups) if method == "novelty" else np.zeros(len(groups), dtype=np.bool_)
    return groups.take(np.flatnonzero(~odd)), np.flatnonzero(odd)
