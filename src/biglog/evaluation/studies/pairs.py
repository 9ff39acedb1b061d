"""Are two normal forms the same event? A rule for it that is learnt in one domain and asked in another.

What the rule reads of a pair is the same for every embedder: cosine, cosine less the mean of the domain's
forms, and how near each is among the neighbours of the other. So a rule can go from one domain to another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, precision_recall_curve
from sklearn.preprocessing import StandardScaler

from biglog.evaluation.probes.vectors import Space, Vectors, unit
from biglog.metrics.parsing import Parse, parsing_score

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

EVIDENCE: Final = ("cosine", "centred cosine", "log rank")
"""What is known of a pair, in order."""

_NEVER: Final = np.inf


@dataclass(frozen=True, eq=False)
class Domain:
    """The distinct normal forms of a domain's sample, and its lines.

    Attributes:
        name: The domain.
        forms: Distinct normal forms in order of appearance, shape (forms,).
        events: Event of each form, that of most of its lines, shape (forms,).
        line_forms: Form of each line, shape (lines,).
        line_events: Event of each line, shape (lines,).
    """

    name: str
    forms: list[str]
    events: NDArray[np.int64]
    line_forms: NDArray[np.int64]
    line_events: NDArray[np.int64]

    @classmethod
    def of(cls, name: str, lines: pl.DataFrame) -> Domain:
        """Takes a domain out of labelled lines.

        Args:
            name: The domain.
            lines: Columns domain, normal_form, event.
        """
        own = lines.filter(pl.col("domain") == name)
        forms = own.group_by("normal_form", maintain_order=True).agg(pl.col("event").mode().min())
        place = {form: row for row, form in enumerate(forms["normal_form"])}
        line_forms = np.array([place[form] for form in own["normal_form"]], dtype=np.int64)
        return cls(
            name,
            forms["normal_form"].to_list(),
            forms["event"].to_numpy(),
            line_forms,
            own["event"].to_numpy(),
        )

    @property
    def same(self) -> Flags:
        """Whether the forms of each pair are of one event, shape (pairs,), in the order of `pairs_of`."""
        left, right = pairs_of(len(self.forms))
        found: Flags = self.events[left] == self.events[right]
        return found


def pairs_of(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the pairs of so many things, as SciPy's condensed distances have them."""
    left, right = np.triu_indices(count, 1)
    return left.astype(np.int64), right.astype(np.int64)


def evidence(vectors: Vectors) -> Floats:
    """Describes the pairs of a domain's forms by their vectors.

    Args:
        vectors: Of its forms, dense or sparse, shape (forms, width).

    Returns:
        `EVIDENCE`, shape (pairs, 3).
    """
    scaled = unit(vectors)
    count = scaled.shape[0]
    rows, one = np.arange(count), np.zeros(count, dtype=np.int64)
    centre = np.asarray(scaled.mean(axis=0), np.float64).reshape(1, -1)
    cosine = Space(scaled).cosines(rows, rows)
    centred = Space(scaled, one, centre).cosines(rows, rows)
    others = np.where(np.eye(count, dtype=bool), -np.inf, cosine)
    nearer = _nearer(others)
    left, right = pairs_of(count)
    rank = np.log1p(nearer[left, right]) + np.log1p(nearer[right, left])
    return np.column_stack([cosine[left, right], centred[left, right], rank])


def _nearer(cosines: Floats) -> Floats:
    """How many forms are nearer to each form than each other one is, shape (forms, forms)."""
    ordered = np.sort(-cosines, axis=1)
    return np.array(
        [np.searchsorted(row, -own - 1e-9, side="left") for row, own in zip(ordered, cosines, strict=True)]
    ).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Rule:
    """A logistic regression on a pair's evidence, and where it says yes.

    Attributes:
        model: It; None for a rule that never says yes.
        scaler: Of the evidence.
        threshold: Of the log odds.
    """

    model: LogisticRegression | None
    scaler: StandardScaler
    threshold: float

    @classmethod
    def learnt(cls, evidence: Floats, same: Flags) -> Rule:
        """Learns the rule and its threshold, the one with the best F1 on what it is learnt from.

        Args:
            evidence: Of the source's pairs, shape (pairs, 3).
            same: Their labels, shape (pairs,); where none is the same there is nothing to say yes to.
        """
        scaler = StandardScaler().fit(evidence)
        if not same.any() or same.all():
            return cls(None, scaler, _NEVER)
        rows = scaler.transform(evidence)
        model = LogisticRegression(class_weight="balanced", max_iter=1000).fit(rows, same)
        odds = model.decision_function(rows)
        return cls(model, scaler, best_threshold(same, odds))

    def odds(self, evidence: Floats) -> Floats:
        """Returns log odds less the threshold, shape (pairs,): above 0 is a yes."""
        if self.model is None:
            return np.full(len(evidence), -1.0)
        found: Floats = self.model.decision_function(self.scaler.transform(evidence)) - self.threshold
        return found


def best_threshold(same: Flags, odds: Floats) -> float:
    """Returns a threshold of the best F1, halfway to the next lower odds."""
    precision, recall, thresholds = precision_recall_curve(same, odds)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    at = int(np.argmax(f1[:-1]))
    lower = thresholds[at - 1] if at else thresholds[at] - 1e-6
    return float((thresholds[at] + lower) / 2)


def pair_f1(same: Flags, said: Flags) -> float:
    """F1 of the pairs that are the same; 1 where there is none and none is said to be."""
    right = int((same & said).sum())
    total = int(same.sum() + said.sum())
    return 2 * right / total if total else 1.0


def scored(domain: Domain, odds: Floats) -> dict[str, float]:
    """Scores a rule's answers in a domain.

    Args:
        domain: The target.
        odds: Above 0 where the rule says that the forms of a pair are one event, shape (pairs,).

    Returns:
        `f1` of the pairs; `average_precision` (0 where no pair is the same: there is nothing to rank); and
        `GA`, grouping accuracy of the lines, forms joined by the mean odds between groups.
    """
    same = domain.same
    ranked = float(average_precision_score(same, odds)) if same.any() else 0.0
    groups = joined(odds, len(domain.forms))
    parse = parsing_score(_parse(domain.line_events), _parse(groups[domain.line_forms]))
    return {"f1": pair_f1(same, odds > 0), "average_precision": ranked, "GA": parse.grouping_accuracy}


def _parse(codes: NDArray[np.int64]) -> Parse:
    distinct, places = np.unique(codes, return_inverse=True)
    return Parse(places.astype(np.int64), [str(code) for code in distinct])


def joined(odds: Floats, count: int) -> NDArray[np.int64]:
    """Joins forms while the mean odds between two groups are above 0 (average linkage).

    Args:
        odds: Of the pairs, shape (pairs,).
        count: How many forms.

    Returns:
        The group of each form, shape (forms,).
    """
    if count < 2:
        return np.zeros(count, dtype=np.int64)
    top = float(np.max(odds))
    tree = linkage(top - odds, "average")
    # A tie with the threshold is no yes.
    found = fcluster(tree, top - 1e-9, "distance") if top > 0 else np.arange(count)
    return np.asarray(found, dtype=np.int64)
